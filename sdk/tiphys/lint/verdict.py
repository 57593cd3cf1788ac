"""What the controller would say of a workflow before it executes it.

``argo lint`` and the controller share one validation: what is an error of rank ``L2`` here ends a workflow on a cluster
with ``Failed`` and ``invalid spec: …``. The two walk differently: the controller follows the calls from the entrypoint,
each message begins with the way it went, and the first problem is the only one that is told.

Source: argo-workflows v4.1.2, workflow/validate/validate.go (ValidateWorkflow), workflow/controller/operator.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tiphys.argo.reader import Document
from tiphys.argo.version import NEWEST, Argo
from tiphys.frozen import frozen
from tiphys.lazy import regex
from tiphys.lint.finding import Finding
from tiphys.lint.linter import argo_findings
from tiphys.lint.model import Project, WorkflowView

__all__ = ["Verdict", "judge"]

_SHARED = "L212"  # a reference to what was not given
_TWICE = "L215"  # two objects of one name: the API server's business
# Keys set twice, unknown fields, bare scalars where Argo has text: applied with kubectl they are stored, what they say
# is dropped (or read as text), and the controller goes on. `argo submit` refuses them, but for L111: those are dropped
# in silence.
_STORED = frozenset(("L103", "L110", "L111", "L113", "L116"))
_LOST = ("L110", "L116")
_NAMES = ("L201", "L202", "L203", "L206")
# Of one template, in the order in which Argo looks.
_ORDER = {
    code: place
    for place, code in enumerate(("L226", *_NAMES, "L270", "L271", "L260", "L241", "L211", "L220", "L240"))
}
_CALLEE = regex(r" templates\.(\S+) inputs\..+ was not supplied\Z")
# Where lint says more, or says it better, than Argo: (ours, Argo's).
_ARGOS = (
    (regex(r"\.outputs\.(parameters|artifacts)\["), r".outputs.\1 ["),
    (
        regex(r"(\btemplates\.\S+)\.tasks\.\S+ dependency '(.*)' not defined"),
        r"\1 sorting failed: invalid dependency \2",
    ),
    (
        regex(r"(\btemplates\.\S+)\.tasks\[\d+\]\.name '(.*)' is not unique"),
        r"\1 sorting failed: duplicated nodeName \2",
    ),
    (regex(r"^(\S+: Artifact '.*' did not specify a path)\Z"), r"error in \1"),
    (regex(r"(graph with cycle|in timeout): .*"), r"\1"),
    (regex(r"^templates\.\S+: (\S+ is not a valid RetryPolicy)\Z"), r"\1"),
    (
        regex(r" has both template and templateRef\Z"),
        " template name cannot be specified with templateRef",
    ),
    (regex(r"^templates\.\S+: (Suspend template doesn't support timeout field)\Z"), r"\1"),
    (regex(r" names no template\Z"), " failed to get a template"),
    (regex(r": templateRef.template is required\Z"), " template name is required"),
    (regex(r": templateRef.name is required\Z"), " resource name is required"),
    (
        regex(r" is invalid before Argo 4\.1\Z"),
        " is invalid: name must consist of alpha-numeric characters or '-', and must start with an alpha-numeric "
        "character (e.g. My-name1-2, 123-NAME)",
    ),
)


@frozen
class Verdict:
    """What is wrong with a workflow.

    ``undecodable``: findings for which it cannot be read at all. ``lost``: fields outside of the metadata that would
    have no effect, misspelt or gone. ``ignored``: what the controller overlooks although it is not right; all of
    ``lost``, and what changes nothing that runs. ``invalid``: the words after ``invalid spec:`` with which it would
    end, empty when it is valid; ``reason`` is the finding that they come from.
    """

    undecodable: tuple[Finding, ...] = ()
    ignored: tuple[Finding, ...] = ()
    invalid: str = ""
    reason: Finding | None = None

    @property
    def lost(self) -> tuple[Finding, ...]:
        return tuple(item for item in self.ignored if item.code in _LOST and item.steps[:1] != ("metadata",))


def judge(documents: Sequence[Document], workflow: Document, argo: Argo = NEWEST) -> Verdict:
    """Judge ``workflow``, one of ``documents``, which may refer to each other, as that version of Argo does."""
    project, findings = argo_findings(list(documents), argo)
    broken = tuple(item for item in findings if item.code < "L2" and item.code not in _STORED)
    ignored = tuple(item for item in findings if item.code in _STORED)
    view = next((item for item in project.workflows if item.document is workflow), None)
    if broken or view is None:
        return Verdict(broken, ignored)
    for each in (view, project.named(view.spec.get("workflowTemplateRef") or {})):
        problems = [] if each is None else _problems(each, findings, project)
        if each is not None and problems:
            ways = _Ways(each)
            first = min(problems, key=ways.rank)
            return Verdict(broken, ignored, ways.words(first), first)
    return Verdict(broken, ignored)


def _problems(workflow: WorkflowView, findings: Sequence[Finding], project: Project) -> list[Finding]:
    """What validation finds in one object."""
    place = (workflow.document.file, workflow.document.index)
    return [
        item
        for item in findings
        if (item.file, item.document) == place
        and item.code > "L2"
        and not (item.code == _SHARED and _found(item, workflow, project))
        and item.code != _TWICE
    ]


def _found(item: Finding, workflow: WorkflowView, project: Project) -> bool:
    """Whether a reference is none of validation's business: the whole workflow's, whose absence is an Error of its own;
    or one to what was given in another namespace, for a run has only one."""
    return "workflowTemplateRef" in item.steps or project.named(_reference(item, workflow)) is not None


def _reference(item: Finding, workflow: WorkflowView) -> Mapping[str, object]:
    """The ``templateRef`` that a finding is in."""
    value: object = workflow.data
    for step in item.steps[:-1]:
        value = (
            value[step] if isinstance(value, dict) else value[int(step)] if isinstance(value, list) else None
        )
    return value if isinstance(value, Mapping) else {}


class _Ways:
    """For each template its turn, and the calls through which Argo first comes to it (``templates.main.tasks.a ``)."""

    def __init__(self, workflow: WorkflowView) -> None:
        self._workflow = workflow
        templates = {item.name: item for item in workflow.templates}
        self._names = {item.path: item.name for item in workflow.templates}
        self._ways: dict[str, tuple[int, str]] = {}
        waiting = [(workflow.spec.get("onExit", ""), ""), (workflow.spec.get("entrypoint", ""), "")]
        while waiting:
            name, way = waiting.pop()
            if name in self._ways or name not in templates:
                continue
            self._ways[name] = (len(self._ways), way)
            calls = templates[name].calls()
            waiting += [(call.data.get("template", ""), f"{way}{call.label} ") for call in reversed(calls)]
        for name in templates:  # looked at once more, by itself
            self._ways.setdefault(name, (len(self._ways), f"templates.{name} "))

    def rank(self, item: Finding) -> tuple[int, int, int]:
        """Names of templates and arguments first; then template by template as they are reached."""
        if item.message.startswith(("spec.templates[", "spec.arguments")):
            return (-1, 0, 0)
        callee = _CALLEE.search(item.message)  # noted where it is called, told of the one that wants it
        name = callee[1] if callee else self._template(item)
        place = self._ways.get(name or "", (len(self._ways), ""))[0]
        return (place, _ORDER.get(item.code, len(_ORDER)), item.line)

    def words(self, item: Finding) -> str:
        """What Argo says."""
        words = item.message
        if item.code == _SHARED:
            reference = _reference(item, self._workflow)
            label = words.partition("couldn't find")[0]
            words = f"{label}template reference {reference.get('name')}.{reference.get('template')} not found"
        for ours, argos in _ARGOS:
            words = ours.sub(argos, words)
        name = self._template(item)
        if name is None or words.startswith("spec."):
            return words
        return self._ways.get(name, (0, ""))[1] + words

    def _template(self, item: Finding) -> str | None:
        """The name of the template that a finding is in."""
        steps = item.steps
        return self._names.get(steps[: steps.index("templates") + 2]) if "templates" in steps else None
