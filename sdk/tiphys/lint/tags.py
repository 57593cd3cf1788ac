"""The ``{{...}}`` tags of a text, found as Argo finds them."""

from __future__ import annotations

from collections.abc import Iterator

from tiphys.argo.reader import Path
from tiphys.lazy import regex

__all__ = ["PREFIXES", "Tag", "expressions", "is_tag", "mark_tags", "simple_tags", "strings", "tags_in"]

# Argo checks only names that begin so; any other tag is free text.
PREFIXES = ("item.", "steps.", "inputs.", "outputs.", "pod.", "workflow.", "tasks.")
_PARAMETER = regex(r"\{\{[-a-zA-Z0-9]+(\.[-a-zA-Z0-9_]+)*\}\}")


class Tag:
    """One tag: its inside as written, and whether its ``}}`` is missing."""

    __slots__ = ("closed", "expression", "name", "start", "text")

    def __init__(self, text: str, start: int, closed: bool) -> None:
        self.text = text
        self.start = start
        self.closed = closed
        self.expression = text.startswith("=")
        self.name = text.strip()

    @property
    def source(self) -> str | None:
        """The expression, where it is read as it stands; None of one that has tags inside, which are filled first, of
        one without its end, and of any other tag."""
        whole = self.expression and self.closed and "{{" not in self.text
        return self.text[1:] if whole else None


def tags_in(text: str) -> Iterator[Tag]:
    """Yield the tags of one text; of nested ones the inner first, then the outer with a mark inside."""
    if "{{" not in text:
        return
    start = text.find("{{")
    while start >= 0:
        end = text.find("}}", start + 2)
        if end < 0:
            yield Tag(text[start + 2 :], start, closed=False)
            return
        inner = text.rfind("{{", start + 2, end)
        if inner > start and text[start + 2 : start + 3] != "=":
            tag = Tag(text[inner + 2 : end], inner, closed=True)
            yield tag
            text = text[:inner] + f"\0{tag.name}\0" + text[end + 2 :]
            continue
        yield Tag(text[start + 2 : end], start, closed=True)
        start = text.find("{{", end + 2)


def mark_tags(text: str) -> str:
    """Replace each tag by a mark with its name, as :func:`tags_in` does for inner tags."""
    if "{{" not in text:
        return text
    for tag in list(tags_in(text)):
        if tag.closed:
            text = text.replace("{{" + tag.text + "}}", f"\0{tag.name}\0")
    return text


def simple_tags(text: str) -> list[str]:
    """The names of the simple tags of a text."""
    return [tag.name for tag in tags_in(text) if not tag.expression]


def expressions(text: str) -> list[str]:
    """The expressions (``{{=...}}``) of a text."""
    return [tag.text[1:] for tag in tags_in(text) if tag.expression]


def is_tag(text: str) -> bool:
    """Whether Argo takes the text for (or with) a parameter reference."""
    return _PARAMETER.search(text) is not None


def strings(data: object, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield (path, text) of every string below ``data`` that holds ``{{``, keys too."""
    if isinstance(data, str):
        if "{{" in data:
            yield path, data
    elif isinstance(data, dict):
        for key, value in data.items():
            if type(value) is str:
                if "{{" in value:
                    yield (*path, key), value
            elif value.__class__ is dict or value.__class__ is list:
                yield from strings(value, (*path, key))
            if "{{" in key:
                yield (*path, key), key
    elif isinstance(data, list):
        for index, value in enumerate(data):
            if type(value) is str:
                if "{{" in value:
                    yield (*path, index), value
            elif value.__class__ is dict or value.__class__ is list:
                yield from strings(value, (*path, index))
