"""Files that can be linted alone, since what is found in them depends on no other: by all cores at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tiphys.argo.reader import scan_text, text_of
from tiphys.argo.version import Argo
from tiphys.garbage import never_collected
from tiphys.lint.finding import Finding
from tiphys.lint.linter import lint_documents
from tiphys.lint.model import ARGO_KINDS, REFERRED
from tiphys.lint.registry import catalogue

__all__ = ["lint_alone"]


def lint_alone(files: Sequence[str], argo: Argo) -> dict[str, list[Finding]]:
    """What is found in those of the files that hold something to lint and have nothing to do with any other.

    The others are left to who asks; so is what goes wrong here, which goes wrong there again, and is told as ever.
    """
    from tiphys.lint.forks import by_forks, forks_for

    twice = len(set(files)) < len(files)
    forks = 1 if twice else forks_for(len(files))
    if forks == 1:
        return {}

    words = {entry.needs for entry in catalogue.values() if entry.scope == "project"}

    def work(number: int) -> list[Finding] | None:
        with never_collected():
            return _alone(files[number], argo, words)

    found = by_forks(work, len(files), forks)
    return {file: each for file, each in zip(files, found, strict=True) if each is not None}


def _alone(file: str, argo: Argo, words: Collection[str]) -> list[Finding] | None:
    """What is found in a file; None where that may depend on others, or others on it, as it may with one of the words
    in it."""
    try:
        text = text_of(file)
        if any(word in text for word in words):
            return None
        documents = list(scan_text(text, file=file))
        kinds = {item.kind for item in documents}
        if kinds.isdisjoint(ARGO_KINDS) or not kinds.isdisjoint(REFERRED):
            return None
        return lint_documents(documents, argo=argo, part=True)
    except Exception:  # noqa: BLE001 - an ElsewhereError, or what goes wrong: see lint_alone
        return None
