"""What the controller would say of a workflow before it executes it.

``argo lint`` and the controller share one validation: what is an error of rank ``L2`` here ends a workflow on a cluster
with ``Failed`` and ``invalid spec: …``. The two walk differently: the controller follows the calls from the entrypoint,
each message begins with the way it went, and the first problem is the only one that is told.

Source: argo-workflows v4.1.2, workflow/validate/validate.go (ValidateWorkflow), workflow/controller/operator.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tiphys.lint.finding import Finding
from tiphys.lint.linter import lint_documents
from tiphys.reader import Document

__all__ = ["Verdict", "judge"]

# A reference to what was not given: the engine looks it up itself, in what it was given to run with.
_LOOKED_UP = frozenset(("L212",))
# Bare scalars where Argo has text, and unknown fields: the API server stores them and the controller goes on.
_STORED = frozenset(("L103", "L110", "L113"))
_NAMES = ("L201", "L202", "L203")
# Of one template, in the order in which Argo looks.
_ORDER = {
    code: place
    for place, code in enumerate(("L226", *_NAMES, "L270", "L271", "L260", "L241", "L211", "L220", "L240"))
}
_CALLEE = re.compile(r" templates\.(\S+) inputs\..+ was not supplied\Z")
# Where lint says more, or says it better, than Argo: (ours, Argo's).
_ARGOS = (
    (re.compile(r"\.outputs\.(parameters|artifacts)\["), r".outputs.\1 ["),
    (
        re.compile(r"(\btemplates\.\S+)\.tasks\.\S+ dependency '(.*)' not defined"),
        r"\1 sorting failed: invalid dependency \2",
    ),
    (
        re.compile(r"(\btemplates\.\S+)\.tasks\[\d+\]\.name '(.*)' is not unique"),
        r"\1 sorting failed: duplicated nodeName \2",
    ),
    (re.compile(r"^(\S+: Artifact '.*' did not specify a path)\Z"), r"error in \1"),
    (re.compile(r"(graph with cycle|in timeout): .*"), r"\1"),
    (re.compile(r"^templates\.\S+: (\S+ is not a valid RetryPolicy)\Z"), r"\1"),
    (
        re.compile(r" has both template and templateRef\Z"),
        " template name cannot be specified with templateRef",
    ),
    (re.compile(r"^templates\.\S+: (Suspend template doesn't support timeout field)\Z"), r"\1"),
    (re.compile(r" names no template\Z"), " failed to get a template"),
    (re.compile(r": templateRef.template is required\Z"), " template name is required"),
    (re.compile(r": templateRef.name is required\Z"), " resource name is required"),
)


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a workflow.

    ``undecodable``: findings for which it cannot be read at all. ``ignored``: what the controller overlooks although
    it is not right, such as an unknown field. ``invalid``: the words after ``invalid spec:`` with which it would end,
    empty when it is valid; ``reason`` is the finding that they come from.
    """

    undecodable: tuple[Finding, ...] = ()
    ignored: tuple[Finding, ...] = ()
    invalid: str = ""
    reason: Finding | None = None


def judge(documents: Sequence[Document], workflow: Document) -> Verdict:
    """Judge ``workflow``, one of ``documents``, which may refer to each other."""
    findings = [item for item in lint_documents(list(documents), argo_only=True) if item.argo]
    own = [item for item in findings if item.file == workflow.file and item.document == workflow.index]
    broken = tuple(item for item in findings if item.code < "L2" and item.code not in _STORED)
    ignored = tuple(item for item in findings if item.code in _STORED)
    problems = [item for item in own if item.code > "L2" and item.code not in _LOOKED_UP]
    if not problems or broken:
        return Verdict(broken, ignored)
    data = workflow.data
    spec = data.get("workflowSpec", data.get("spec")) or {}
    ways = _ways(spec if isinstance(spec, Mapping) else {})
    first = min(problems, key=lambda item: _rank(item, spec, ways))
    return Verdict(broken, ignored, _words(first, spec, ways), first)


def _rank(
    item: Finding, spec: Mapping[str, Any], ways: Mapping[str, tuple[int, str]]
) -> tuple[int, int, int]:
    """Names of templates and arguments first; then template by template as they are reached."""
    if item.message.startswith(("spec.templates[", "spec.arguments")):
        return (-1, 0, 0)
    callee = _CALLEE.search(item.message)  # noted where it is called, told of the one that wants it
    template = callee[1] if callee else _template(item, spec)
    place = ways.get(template or "", (len(ways), ""))[0]
    return (place, _ORDER.get(item.code, len(_ORDER)), item.line)


def _words(item: Finding, spec: Mapping[str, Any], ways: Mapping[str, tuple[int, str]]) -> str:
    words = item.message
    for ours, argos in _ARGOS:
        words = ours.sub(argos, words)
    template = _template(item, spec)
    if template is None or words.startswith("spec."):
        return words
    return ways.get(template, (0, ""))[1] + words


def _template(item: Finding, spec: Mapping[str, Any]) -> str | None:
    """The name of the template that a finding is in."""
    steps = item.steps
    if "templates" not in steps[:-1]:
        return None
    index = steps[steps.index("templates") + 1]
    templates = spec.get("templates")
    if not isinstance(index, int) or not isinstance(templates, list) or index >= len(templates):
        return None
    return str(templates[index].get("name") or "") if isinstance(templates[index], Mapping) else None


def _ways(spec: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    """For each template its turn and the calls through which Argo first comes to it (``templates.main.tasks.a ``)."""
    templates = {
        str(item.get("name") or ""): item for item in spec.get("templates") or () if isinstance(item, Mapping)
    }
    ways: dict[str, tuple[int, str]] = {}
    waiting = [(str(spec.get("onExit") or ""), ""), (str(spec.get("entrypoint") or ""), "")]
    while waiting:
        name, way = waiting.pop()
        if name in ways or name not in templates:
            continue
        ways[name] = (len(ways), way)
        calls = [(callee, f"{way}templates.{name}.{place} ") for place, callee in _calls(templates[name])]
        waiting.extend(reversed(calls))
    for name in templates:
        ways.setdefault(name, (len(ways), f"templates.{name} "))  # looked at once more, by itself
    return ways


def _calls(template: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for number, group in enumerate(template.get("steps") or ()):
        for step in group if isinstance(group, list) else ():
            if isinstance(step, Mapping):
                yield f"steps[{number}].{step.get('name')}", str(step.get("template") or "")
    dag = template.get("dag")
    for task in (dag.get("tasks") or ()) if isinstance(dag, Mapping) else ():
        if isinstance(task, Mapping):
            yield f"tasks.{task.get('name')}", str(task.get("template") or "")
