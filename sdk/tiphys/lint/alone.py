"""Files that can be linted alone, since what is found in them depends on no other: by all cores at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from tiphys.argo.reader import Document, scan_text, text_of
from tiphys.argo.version import Argo
from tiphys.garbage import never_collected
from tiphys.lint.finding import Finding
from tiphys.lint.linter import lint_documents
from tiphys.lint.model import ARGO_KINDS, REFERRED
from tiphys.lint.registry import catalogue

__all__ = ["SharedOut", "lint_shared"]


class SharedOut(NamedTuple):
    """What came of files that were shared out. ``alone``: what is found in those that hold something to lint and have
    nothing to do with any other. ``read``: the documents of others, by their files. ``together``: what is found in
    these; None where there are more that are not alone."""

    alone: Mapping[str, list[Finding]] = {}
    read: Mapping[str, list[Document]] = {}
    together: list[Finding] | None = None


def lint_shared(files: Sequence[str], argo: Argo) -> SharedOut:
    """Lint what can be linted alone in forks of this process, and here meanwhile what a word in it says that it cannot.

    What is left is for who asks; so is what goes wrong here, which goes wrong there again, and is told as ever.
    """
    if len(files) == 1 or len(set(files)) < len(files):
        return SharedOut()
    from tiphys.lint.forks import by_forks, forks_for

    forks = forks_for(len(files))
    if forks == 1:
        return SharedOut()

    words = {entry.needs for entry in catalogue.values() if entry.scope == "project"}

    def work(number: int) -> list[Finding] | None:
        with never_collected():
            return _alone(files[number], argo, words)

    with by_forks(work, len(files), forks) as found:
        read, together = _others(files, argo, words)
        alone = {file: each for file, each in zip(files, found, strict=True) if each is not None}
    if not alone or len(alone) + len(read) < len(files):
        together = None
    return SharedOut(alone, read, together)


def _others(
    files: Sequence[str], argo: Argo, words: Collection[str]
) -> tuple[dict[str, list[Document]], list[Finding] | None]:
    """The documents of the files that have one of the words, and what is found in them if these are all others."""
    read: dict[str, list[Document]] = {}
    try:
        for file in files:
            text = text_of(file)
            if any(word in text for word in words):
                read[file] = list(scan_text(text, file=file))
        return read, lint_documents([item for each in read.values() for item in each], argo=argo, beside=True)
    except Exception:  # noqa: BLE001 - see lint_shared
        return read, None


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
    except Exception:  # noqa: BLE001 - an ElsewhereError, or what goes wrong: see lint_shared
        return None
