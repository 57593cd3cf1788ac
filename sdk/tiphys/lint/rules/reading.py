"""Reading: what is no YAML, too much, set twice. The reader finds these; here they get their codes."""

from __future__ import annotations

from collections.abc import Iterator

from tiphys.lint.model import Project
from tiphys.lint.registry import Issue, rule

_YAML = "sigs.k8s.io/yaml v1.6 (strict)"


def _nothing(project: Project) -> Iterator[Issue]:
    return iter(())


rule(
    "L101",
    "not-yaml",
    "error",
    what="A document that is not YAML (or not JSON, where the file begins with `{`).",
    why="Nothing of the document can be used; `argo lint` passes over it in silence.",
    source=_YAML,
    scope="reader",
)(_nothing)
rule(
    "L102",
    "too-large",
    "error",
    what="A document that is too deep, or grows too large when its aliases are expanded.",
    why="A small file must not be able to exhaust the machine that reads it.",
    source="tiphys.argo.reader.Limits",
    scope="reader",
)(_nothing)
rule(
    "L103",
    "duplicate-key",
    "error",
    what="A key that is set twice in one mapping, directly or by a merge (`<<`).",
    why="Only the last would count; strict reading refuses the document.",
    source=_YAML,
    scope="reader",
)(_nothing)
rule(
    "L104",
    "no-json-value",
    "error",
    what="A value or key that JSON does not have: .inf, .nan, a null key, a mapping as a key.",
    why="Kubernetes objects are JSON. `{{x}}` without quotes is a mapping as a key.",
    source=_YAML,
    scope="reader",
)(_nothing)
rule(
    "L105",
    "nothing-to-lint",
    "error",
    what="A file without any Workflow, WorkflowTemplate, ClusterWorkflowTemplate or CronWorkflow.",
    why="`argo lint` fails on such a file: often the kind is misspelt.",
    source="argo-workflows v4.1.2, cmd/argo/lint",
    scope="reader",
    fixable=True,
)(_nothing)
rule(
    "L106",
    "ignore-without-reason",
    "warning",
    what="A `# tiphys: ignore[...]` comment without a reason or with an unknown code.",
    why="Whoever reads it next cannot tell whether it is still true.",
    source="tiphys.lint",
    scope="reader",
)(_nothing)
