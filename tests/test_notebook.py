"""What notebooks are given: HTML that an HTML parser reads, in which nothing of others is more than text."""

from __future__ import annotations

from html.parser import HTMLParser

from tiphys.notebook import MOST_ROWS, badge, facts, fragment, rows, text

EVIL = "</td><script>alert(1)</script>\u202e\x1b[2J"


def tags(html: str) -> list[str]:
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: found.append(tag)  # type: ignore[method-assign]
    parser.feed(html)
    return found


def test_what_others_wrote_is_text() -> None:
    made = fragment(badge(EVIL), facts([(EVIL, EVIL)]), rows((EVIL,), [(text(EVIL),)]))
    assert set(tags(made)) == {"div", "b", "table", "tr", "th", "td"}
    assert "\u202e" not in made and "\x1b" not in made


def test_nothing_is_nothing() -> None:
    assert rows(("a",), []) == "" and facts([("a", "")]) == ""


def test_too_many_lines_are_counted() -> None:
    made = rows(("a",), [(str(place),) for place in range(MOST_ROWS + 1_234)])
    assert tags(made).count("td") == MOST_ROWS and "and 1,234 more" in made
