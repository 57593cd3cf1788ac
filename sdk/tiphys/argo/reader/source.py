"""Reading files and texts into documents: split as Argo splits, bounded, with coded errors."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import yaml

from tiphys.argo.reader.compose import ReaderLimits, TooMuch, compose
from tiphys.argo.reader.document import Document, Problem
from tiphys.errors import RefusedError

if TYPE_CHECKING:
    from tiphys.jsontypes import Json

__all__ = ["read", "read_file", "read_text", "read_value", "scan_text", "text_of"]

_DEFAULT = ReaderLimits()
# bytes: hardly a file has more, and room for as many as are allowed costs more than reading them
_FEW = 64 * 1024


def read(
    source: str | os.PathLike[str], *, file: str = "", limits: ReaderLimits = _DEFAULT
) -> list[Document]:
    """Read YAML or JSON from a path, or from a text (a ``str`` with a line break or that starts with ``{``).

    Returns the documents in order, empty ones left out. Each document's ``data`` holds what Argo's own
    reader would see (YAML 1.1 typing of go-yaml, then JSON).

    Raises
    ------
    RefusedError
        TIP201 the file cannot be read, TIP202 it is not UTF-8, TIP203 not YAML, TIP204 a limit is exceeded,
        TIP205 a key is set twice, TIP206 a value has no JSON form, TIP207 a key has no JSON form.
    """
    if isinstance(source, str) and ("\n" in source or source.lstrip().startswith("{")):
        return read_text(source, file=file, limits=limits)
    return read_file(source, limits=limits)


def read_file(path: str | os.PathLike[str], *, limits: ReaderLimits = _DEFAULT) -> list[Document]:
    """Read the documents of one file. See :func:`read`."""
    return read_text(text_of(path, limits), file=os.fspath(path), limits=limits)


def read_text(text: str, *, file: str = "", limits: ReaderLimits = _DEFAULT) -> list[Document]:
    """Read the documents of a text; ``file`` is what errors and documents name. See :func:`read`."""
    documents = []
    for document in scan_text(text, file=file, limits=limits):
        for problem in document.problems:
            raise _refused(problem, file)
        documents.append(document)
    return documents


def read_value(text: str) -> Json:
    """The one value of a text inside a workflow (a manifest, a patch), as a reader that is not strict has it: of a key
    that is set twice the last value. None for a text without any.

    Raises RefusedError as :func:`read`, but for TIP205; TIP203 for several documents, too.
    """
    documents = list(scan_text(text))
    for document in documents:
        for problem in document.problems:
            if problem.code != "TIP205":
                raise _refused(problem, "")
    if len(documents) > 1:
        raise RefusedError(
            "TIP203",
            "not YAML: expected a single document in the stream",
            where=f"<text>:{documents[1].line_offset + 1}",
        )
    value: Json = documents[0].data if documents else None
    return value


def _refused(problem: Problem, file: str) -> RefusedError:
    where = f"{file or '<text>'}:{problem.line}:{problem.column}"
    return RefusedError(problem.code, problem.message, where=where, fix=problem.fix)


def text_of(path: str | os.PathLike[str], limits: ReaderLimits = _DEFAULT) -> str:
    """Return the text of a file, refused when it is too large or not UTF-8."""
    name = os.fspath(path)
    try:
        with open(name, "rb") as stream:
            raw = stream.read(min(_FEW, limits.bytes + 1))
            if len(raw) == _FEW:
                raw += stream.read(limits.bytes + 1 - _FEW)
    except OSError as error:
        raise RefusedError(
            "TIP201",
            f"cannot read {name}: {error.strerror or error}",
            where=name,
            fix="check the path and its permissions",
        ) from error
    if len(raw) > limits.bytes:
        raise _too_large(name, limits)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise RefusedError(
            "TIP202", f"{name} is not UTF-8 text", where=f"{name}:{line}", fix="save the file as UTF-8"
        ) from error


def scan_text(text: str, *, file: str = "", limits: ReaderLimits = _DEFAULT) -> Iterator[Document]:
    """Yield the documents of a text without stopping at what is wrong: that is in ``Document.problems``.

    Only a text over the size limit raises. A document that cannot be parsed at all has ``data`` None.
    """
    if len(text) > limits.bytes:
        raise _too_large(file or "<text>", limits)
    if text.lstrip()[:1] == "{":
        document = _json_document(text, file, limits)
        if document is not None:
            yield document
            return
    lines = offset = index = 0
    for part in text.split("\n---"):
        if part.strip():
            document = _document(part, file, index, lines, limits)
            document.offset = offset
            if document.data is not None or document.problems:
                yield document
                index += 1
        lines += part.count("\n") + 1
        offset += len(part) + 4


def _document(text: str, file: str, index: int, line_offset: int, limits: ReaderLimits) -> Document:
    problems: list[Problem] = []
    data: Any = None
    node = None
    try:
        data, node = compose(text, limits, problems)
    except UnicodeEncodeError as error:
        line, column = text.count("\n", 0, error.start) + 1, error.start - text.rfind("\n", 0, error.start)
        problems = [Problem("TIP203", "not YAML: half of a surrogate pair", "save it as UTF-8", line, column)]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        words = ", ".join(part for part in (error.problem, error.context) if part)
        problems = [Problem("TIP203", f"not YAML: {words}", _syntax_fix(text, line), line, column)]
    except yaml.YAMLError as error:
        problems = [Problem("TIP203", f"not YAML: {str(error).splitlines()[0]}", "save it as text", 1, 1)]
    except TooMuch as error:
        line, column = error.mark.line + 1, error.mark.column + 1
        problems = [Problem("TIP204", str(error), "split the file, or use fewer aliases", line, column)]
    for problem in problems:
        if problem.line == 1 and line_offset:
            problem.column += 3
        problem.line += line_offset
    return Document(data, node, file=file, index=index, line_offset=line_offset, text=text, problems=problems)


def _json_document(text: str, file: str, limits: ReaderLimits) -> Document | None:
    """The document of a JSON text; None where it is no JSON (a YAML flow mapping, perhaps)."""
    from tiphys.expr import gojson  # a third of what importing the reader would take; most texts are YAML

    try:
        data = gojson.unmarshal(text)
    except json.JSONDecodeError as error:  # no JSON, or with a number that is too long
        if error.msg != gojson.TOO_DEEP:
            return None
        problem = Problem("TIP204", f"nested deeper than {limits.depth} levels", "nest less", 1, 1)
        return Document(None, None, file=file, text=text, problems=[problem])
    document = _document(text, file, 0, 0, limits)
    if any(problem.code == "TIP203" for problem in document.problems):
        return Document(data, None, file=file, text=text)  # JSON that YAML 1.1 cannot read: no positions
    return document


def _syntax_fix(text: str, line: int) -> str:
    lines = text.split("\n")
    around = "\n".join(lines[max(0, line - 2) : line])
    if "\t" in around:
        return "indent with blanks, not with tabs"
    if "{{" in around:
        return 'put a value that starts with `{{` in quotes: "{{...}}"'
    return "check the indentation and the quotes around this line"


def _too_large(name: str, limits: ReaderLimits) -> RefusedError:
    return RefusedError(
        "TIP204",
        f"{name} is larger than {limits.bytes} bytes",
        where=name,
        fix="split the file; Kubernetes refuses objects above about 1.5 MB",
    )
