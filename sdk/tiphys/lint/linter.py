"""Running the rules over documents and turning what they yield into findings."""

from __future__ import annotations

import functools
import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TypeGuard

from tiphys.argo.reader import Document, Path, ScalarNode, scan_text, text_of
from tiphys.argo.version import NEWEST, Argo
from tiphys.errors import RefusedError
from tiphys.garbage import never_collected
from tiphys.lint import rules as _rules  # noqa: F401  registers them
from tiphys.lint.finding import Finding, dotted
from tiphys.lint.manifests import resource_objects
from tiphys.lint.model import ARGO_KINDS, Project, WorkflowView, load
from tiphys.lint.near import near_misses, phrase
from tiphys.lint.registry import Issue, Rule, catalogue
from tiphys.lint.suppress import Comment, comments, silenced

__all__ = ["argo_findings", "documents_of", "files_below", "is_path", "lint_documents"]

_READING = {
    "TIP203": "L101",
    "TIP204": "L102",
    "TIP205": "L103",
    "TIP206": "L104",
    "TIP207": "L104",
}


_DROPPED = "L111"  # by Argo, without a word
# Argo tells inline templates apart by their (empty) name: these are checked in the first one only.
_FIRST_INLINE_ONLY = frozenset(
    ("L260", "L261", "L262", "L271", "L272", "L273", "L275", "L276", "L278", "L280")
)


def lint_documents(
    documents: list[Document], *, argo: Argo = NEWEST, part: bool = False, beside: bool = False
) -> list[Finding]:
    """Return all findings in documents that may refer to each other, in the order of the text.

    ``argo``: the version that they are written for. ``part``: they are not all; raises ElsewhereError where a rule asks
    for what the others may hold. ``beside``: so was done with others, which hold workflows.
    """
    with never_collected():
        silent = _comments(documents)
        project = load(documents, argo, part)
        try:
            found = _lint(project, _every(), beside)
        finally:
            project.close()
        return [item for item in found if not silenced(item, silent.get(item.file, []))]


def argo_findings(documents: list[Document], argo: Argo = NEWEST) -> tuple[Project, list[Finding]]:
    """Return the documents as rules see them, and what `argo lint` of that version would reject or drops in silence
    (L111), whatever comments ask to ignore."""
    with never_collected():
        project = load(documents, argo)
        found = _lint(project, _argos())
        return project, [item for item in found if item.argo or item.code == _DROPPED]


class _Chosen:
    """The rules that documents are held to, by their scope."""

    def __init__(self, chosen: Iterable[Rule]) -> None:
        self.by_scope: dict[str, list[Rule]] = {}
        for entry in chosen:
            self.by_scope.setdefault(entry.scope, []).append(entry)
        # several rules need the same word, and many texts have the same ones
        self._words = {entry.needs for rules in self.by_scope.values() for entry in rules}
        self._for: dict[frozenset[str], dict[str, list[Rule]]] = {}

    def of(self, text: str) -> Mapping[str, Sequence[Rule]]:
        """Those that the text may break."""
        there = frozenset([word for word in self._words if word in text])
        if (found := self._for.get(there)) is None:
            found = self._for[there] = {
                scope: [entry for entry in entries if entry.needs in there]
                for scope, entries in self.by_scope.items()
            }
        return found


@functools.cache
def _every() -> _Chosen:
    return _Chosen(catalogue.values())


@functools.cache
def _argos() -> _Chosen:
    return _Chosen(entry for entry in catalogue.values() if entry.argo or entry.code == _DROPPED)


def _lint(project: Project, chosen: _Chosen, beside: bool = False) -> list[Finding]:
    """What the chosen rules find, each thing once, in the order of the text."""
    found: dict[tuple[object, ...], Finding] = {}
    for finding in _all(project, chosen, beside):
        key = (finding.code, finding.file, finding.path, finding.message, finding.line, finding.column)
        found.setdefault(key, finding)
    order = {document.file: index for index, document in reversed(list(enumerate(project.documents)))}
    rank = {"error": 0, "warning": 1, "info": 2}
    return sorted(
        found.values(),
        key=lambda f: (order.get(f.file, 0), f.line, f.column, rank[f.severity], f.code, f.message),
    )


def _comments(documents: list[Document]) -> dict[str, list[Comment]]:
    found: dict[str, list[Comment]] = {}
    for document in documents:
        for item in comments(document.text):
            moved = item.line + document.line_offset if item.line else 0
            entry = Comment(moved, item.codes, item.reason, item.written + document.line_offset)
            found.setdefault(document.file, []).append(entry)
    return found


def _all(project: Project, chosen: _Chosen, beside: bool) -> Iterator[Finding]:
    for document in project.documents:
        yield from _reading(document)
        yield from _ignores(document)
    if not project.part:
        yield from _empty_files(project, beside or bool(project.workflows))
    for workflow in project.workflows:
        text = workflow.document.text
        by_scope = chosen.of(text) if text else chosen.by_scope
        for entry in by_scope.get("workflow", ()):
            for issue in entry.check(workflow):
                yield _finding(entry, issue, workflow)
        inline = False
        for template in workflow.every_template():
            for entry in by_scope.get("template", ()):
                quiet = inline and template.inline and entry.code in _FIRST_INLINE_ONLY
                for issue in entry.check(template):
                    yield _finding(entry, issue, workflow, quiet)
            inline = inline or template.inline
            if template.type == "Resource":
                for manifest in resource_objects(template):
                    for entry in by_scope.get("manifest", ()):
                        for issue in entry.check(manifest):
                            yield _finding(entry, issue, workflow)
    for entry in () if project.part else chosen.by_scope.get("project", ()):
        for issue in entry.check(project):
            yield _finding(entry, issue, None)


def _finding(entry: Rule, issue: Issue, workflow: WorkflowView | None, quiet: bool = False) -> Finding:
    document: Document = issue.document or workflow.document  # type: ignore[union-attr]
    line, column = issue.at or document.position(issue.path, key=issue.key)
    severity = issue.severity or ("warning" if quiet and entry.severity == "error" else entry.severity)
    near: tuple[str, ...] = ()
    fix = issue.fix
    if issue.near:
        near = near_misses(issue, document)
        fix = phrase(near) or fix
    if workflow is not None and document is workflow.document:
        owner = f"{workflow.kind}/{workflow.name}"
    else:
        meta = document.data.get("metadata") if isinstance(document.data, dict) else None
        owner = f"{document.kind}/{meta.get('name', '') if isinstance(meta, dict) else ''}"
    python = _python_place(document, issue.path)
    return Finding(
        code=entry.code,
        severity=severity,
        message=issue.message,
        python_file=python[0],
        python_line=python[1],
        fix=fix,
        file=document.file,
        path=dotted(issue.path),
        line=line,
        column=column,
        cause=entry.why,
        near=near,
        object=owner,
        argo=entry.argo and severity == "error",
        steps=issue.path,
        document=document.index,
    )


def _python_place(document: Document, path: Path) -> tuple[str, int]:
    """The Python file and line of the task or template that a path is in; an empty file where unknown."""
    names: list[str] = []
    if document.sites:
        for at, step in enumerate(path[:-1]):
            if step in ("templates", "tasks"):
                node = document.find((*path[: at + 2], "name"))
                names.append(node.text if isinstance(node, ScalarNode) else "")
    for known in ("/".join(names[:2]), names[0] if names else ""):
        if known in document.sites:
            return document.sites[known]
    return "", 0


def _reading(document: Document) -> Iterator[Finding]:
    for problem in document.problems:
        code = _READING[problem.code]
        entry = catalogue[code]
        yield Finding(
            code=code,
            severity=entry.severity,
            message=problem.message,
            fix=problem.fix,
            file=document.file,
            path=dotted(problem.path),
            line=problem.line,
            column=problem.column,
            cause=entry.why,
            object=f"document {document.index + 1}",
            argo=True,
            steps=problem.path,
            document=document.index,
        )


def _ignores(document: Document) -> Iterator[Finding]:
    entry = catalogue["L106"]
    for item in comments(document.text):
        unknown = sorted(code for code in item.codes if code not in catalogue)
        if item.reason and item.codes and not unknown:
            continue
        what = f"ignores the unknown code {unknown[0]!r}" if unknown else "gives no reason"
        near = near_misses(Issue((), "", near=tuple(catalogue)), document, word=unknown[0]) if unknown else ()
        yield Finding(
            code="L106",
            severity=entry.severity,
            message=f"this comment {what}",
            fix=phrase(near) or "write `# tiphys: ignore[CODE] reason`",
            file=document.file,
            line=item.written + document.line_offset,
            cause=entry.why,
            near=near,
            document=document.index,
        )


def _empty_files(project: Project, others: bool) -> Iterator[Finding]:
    """Files without any Argo object: with nothing at all to lint `argo lint` fails; where others hold something it is a
    likely misspelling."""
    entry = catalogue["L105"]
    files: dict[str, list[Document]] = {}
    for document in project.documents:
        files.setdefault(document.file, []).append(document)
    for file, documents in files.items():
        if any(item.kind in ARGO_KINDS or item.problems for item in documents):
            continue
        kinds = sorted({item.kind for item in documents if item.kind})
        near = near_misses(Issue((), "", near=ARGO_KINDS), documents[0], word=kinds[0] if kinds else "")
        if others and not near:
            continue
        what = f"only {', '.join(kinds)}" if kinds else "no object with a kind"
        line, column = documents[0].position(("kind",))
        yield Finding(
            code="L105",
            severity="warning" if others else entry.severity,
            message=f"found nothing to lint: the file holds {what}",
            fix=phrase(near) or f"the kinds are {', '.join(ARGO_KINDS)}",
            file=file,
            path="kind",
            line=line,
            column=column,
            cause=entry.why,
            near=near,
            argo=not others,
            steps=("kind",),
        )


def documents_of(
    source: object,
    file: str = "",
    but: Container[str] = (),
    read: Mapping[str, list[Document]] = MappingProxyType({}),
) -> list[Document]:
    """The documents of a path, a folder, a text, a mapping or a Hera workflow; those of the files ``but`` left out, and
    those of others as they were ``read`` before."""
    if isinstance(source, Mapping):
        return [Document(dict(source), None, file=file or "<mapping>")]
    if is_path(source):
        return _from_path(os.fspath(source), but, read)
    if isinstance(source, str):
        return list(scan_text(source, file=file or "<text>"))
    if hasattr(source, "to_dict") or hasattr(source, "build"):
        return _from_hera(source, file)
    if isinstance(source, Iterable):
        return [document for item in source for document in documents_of(item, file)]
    raise RefusedError(
        "TIP214",
        f"cannot lint {type(source).__name__}",
        fix="give a path, YAML text, a mapping or a Hera workflow",
    )


def is_path(source: object) -> TypeGuard[str | os.PathLike[str]]:
    """Whether it is a file's or a folder's name, and no text."""
    if isinstance(source, str):
        return "\n" not in source and not source.lstrip().startswith("{")
    return isinstance(source, os.PathLike)


def _from_path(path: str, but: Container[str], read: Mapping[str, list[Document]]) -> list[Document]:
    with never_collected():
        files = [file for file in files_below(path) if file not in but]
        return [item for file in files for item in read.get(file) or scan_text(text_of(file), file=file)]


def files_below(path: str) -> list[str]:
    """The YAML and JSON files of a folder, in order; a file is itself."""
    if not os.path.isdir(path):
        return [path]
    return sorted(
        os.path.join(folder, name)
        for folder, _, names in os.walk(path)
        for name in names
        if name.endswith((".yaml", ".yml", ".json"))
    )


def _from_hera(source: object, file: str) -> list[Document]:
    """A Pipeline is linted as the YAML it compiles to, with the Python line of each template."""
    from tiphys.compiler.compile import to_yaml

    documents = list(scan_text(to_yaml(source), file=file or type(source).__name__))
    sites = _python_sites(source)
    for document in documents:
        document.sites = sites
    return documents


def _python_sites(source: object) -> dict[str, tuple[str, int]]:
    """Where a pipeline's templates (``NAME``) and tasks (``TEMPLATE/TASK``) were written in Python."""
    sites: dict[str, tuple[str, int]] = {}
    used = getattr(source, "_used", None)
    templates = list(used()) if callable(used) else list(getattr(source, "templates", None) or [])
    graphs: list[object] = [getattr(holder, "graph", None) for holder in (source, *templates)]
    things: list[tuple[str, object]] = [(getattr(item, "name", ""), item) for item in templates]
    for graph in graphs:
        for task in getattr(graph, "tasks", None) or []:
            things.append((f"{getattr(graph, 'name', '')}/{getattr(task, 'task_name', '')}", task))
    for name, thing in things:
        site = getattr(thing, "site", None)
        if site is not None and site.file and name:
            sites[name] = (site.file, site.line)
    return sites
