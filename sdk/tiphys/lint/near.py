"""Near misses: what was probably meant."""

from __future__ import annotations

from tiphys.argo.reader import Document
from tiphys.lazy import regex
from tiphys.lint.registry import Issue

__all__ = ["near_misses", "phrase"]

_QUOTED = regex(r"'([^']+)'|\"([^\"]+)\"|\{\{([^}]*)\}?\}?")


def near_misses(issue: Issue, document: Document, word: str = "") -> tuple[str, ...]:
    """The candidates in ``issue.near`` that resemble the wrong word (by default what the message quotes)."""
    wrong = word or wrong_word(issue)
    if not wrong:
        return ()
    candidates = [name for name in dict.fromkeys(issue.near) if name and name != wrong]
    folded = {name.lower(): name for name in reversed(candidates)}
    if wrong.lower() in folded:
        return (folded[wrong.lower()],)
    import difflib  # slow to import; most files have nothing misspelt

    cutoff = 0.75 if "." in wrong else 0.6
    close = difflib.get_close_matches(wrong, candidates, n=3, cutoff=cutoff)
    scores = [difflib.SequenceMatcher(None, name, wrong).ratio() for name in close]
    if len(close) > 1 and scores[0] - scores[1] >= 0.05:
        close = close[:1]  # clearly the nearest
    return tuple(close)


def wrong_word(issue: Issue) -> str:
    """The word that the message calls wrong: the last of a dotted field path, else what it quotes."""
    if issue.wrong:
        return issue.wrong
    if issue.key and issue.path and isinstance(issue.path[-1], str):
        return issue.path[-1]
    match = None
    for match in _QUOTED.finditer(issue.message):
        if match.group(3) is not None or match.group(1) or match.group(2):
            break
    if match is None:
        return ""
    return (match.group(1) or match.group(2) or match.group(3) or "").strip()


def phrase(near: tuple[str, ...]) -> str:
    """``did you mean 'x' or 'y'?``; empty without near misses."""
    return f"did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
