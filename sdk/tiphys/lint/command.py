"""What ``tiphys lint`` does: read, lint, repair, filter, write, and the exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from os import PathLike
from typing import NamedTuple, TextIO

from tiphys.argo.reader import Document, text_of
from tiphys.argo.version import NEWEST, Argo
from tiphys.errors import RefusedError, TiphysError
from tiphys.garbage import never_collected
from tiphys.lint.alone import SharedOut, lint_shared
from tiphys.lint.finding import Finding, Severity
from tiphys.lint.formats import FORMATS, render
from tiphys.lint.linter import documents_of, files_below, is_path, lint_documents

__all__ = ["cli_main"]

_RANK = {"error": 0, "warning": 1, "info": 2}


def cli_main(
    sources: Sequence[object],
    *,
    json: bool = False,
    format: str = "text",
    fix: bool = False,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    severity: Severity | None = None,
    argo: Argo = NEWEST,
    color: bool = False,
    out: TextIO | None = None,
    err: TextIO | None = None,
) -> int:
    """Lint ``sources`` together and write the findings to ``out``; return the exit code.

    ``sources`` are paths of files and folders, or objects (mappings, Hera workflows, ``(label, object)``).
    ``select`` and ``ignore`` are codes or their beginnings (``L3``). ``severity`` is the least that is shown
    and counted. By default errors and warnings count, and infos are shown only in the formats for machines.
    ``fix`` repairs files in place first. ``argo`` is the version of Argo that they are written for.

    Exit code: 0 clean, 1 findings that count, 2 something could not be read (also when there were findings).
    """
    out, err = out or sys.stdout, err or sys.stderr
    form = "json" if json else format
    if form not in FORMATS:
        raise RefusedError("TIP215", f"unknown format {form!r}", fix=f"use one of {', '.join(FORMATS)}")
    with never_collected():
        found = _found(sources, fix, argo, err)
    findings = [
        finding
        for finding in found.findings
        if _RANK[finding.severity] <= _RANK[severity or "info"] and _wanted(finding.code, select, ignore)
    ]
    counted = [item for item in findings if _RANK[item.severity] <= _RANK[severity or "warning"]]
    out.write(render(counted if form == "text" else findings, form, color=color))
    if form == "text":
        counts = [sum(item.severity == name for item in findings) for name in _RANK]
        pairs = [(count, name) for count, name in zip(counts, _RANK, strict=True) if count]
        summary = ", ".join(f"{count} {name}{'s' * (count > 1)}" for count, name in pairs) or "clean"
        err.write(f"{found.files} files: {summary}")
        hidden = " (infos: --severity info)" if len(counted) < len(findings) else ""
        err.write(f", {found.repaired} repaired{hidden}\n" if found.repaired else f"{hidden}\n")
    return 2 if found.failed else 1 if counted else 0


class _Found(NamedTuple):
    """The findings in so many files; how many repairs were made in them; whether something could not be read."""

    findings: list[Finding]
    files: int
    repaired: int
    failed: bool


def _found(sources: Sequence[object], fix: bool, argo: Argo, err: TextIO) -> _Found:
    shared = SharedOut()
    if not fix and all(is_path(source) for source in sources):
        shared = lint_shared([file for source in sources for file in files_below(str(source))], argo)
    alone = shared.alone
    documents: list[Document] = []
    files: list[str] = []  # where some were linted alone, in the order of the findings
    failed = False
    repaired = 0
    for source in sources:
        label, source = source if isinstance(source, tuple) else ("", source)
        try:
            if fix and isinstance(source, str | PathLike):
                repaired += sum(_repair(path) for path in files_below(str(source)))
            documents += documents_of(source, label, but=alone, read=shared.read)
            files += files_below(str(source)) if alone else []
        except TiphysError as error:
            failed = True
            err.write(f"{error}\n")
    every = {file: alone.get(file, []) for file in files}
    done = len(every.keys() & alone.keys())
    if failed or shared.together is None:
        findings = lint_documents(documents, argo=argo, beside=done > 0)
    else:
        findings = shared.together
    if done:
        for item in findings:
            every[item.file].append(item)
        findings = [item for each in every.values() for item in each]
    return _Found(findings, done + len({item.file for item in documents}), repaired, failed)


def _repair(path: str) -> int:
    from pathlib import Path

    from tiphys.compiler.output import write_atomically
    from tiphys.lint.fixing import fix as fix_text

    before = text_of(path)
    after, applied = fix_text(before, file=path)
    if after != before:
        write_atomically(Path(path), after)
    return len(applied)


def _wanted(code: str, select: Iterable[str], ignore: Iterable[str]) -> bool:
    chosen = tuple(select)
    return (not chosen or code.startswith(chosen)) and not code.startswith(tuple(ignore) or ("-",))
