"""What goes wrong between the steps, and that `argo lint` lets pass."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tiphys.expr.dependencies import RESERVED, dependencies, syntax_error
from tiphys.expr.durations import is_loose
from tiphys.lazy import regex
from tiphys.lint.analysis import walk_of
from tiphys.lint.model import CallView, TemplateView, WorkflowView
from tiphys.lint.registry import Issue, rule
from tiphys.lint.tags import strings, tags_in

if TYPE_CHECKING:
    from tiphys.argo.types import Parameter

_SEEN = "seen on the real 4.1.2 controller"
_SINGLE_EQUALS = regex(r"(?<![=!<>~])=(?![=~])")
_RESULT = regex(r"\{\{=?\s*(?:steps|tasks)\.([-\w]+)\.outputs\.result")
_OUTPUT = regex(r"^\{\{\s*(steps|tasks)\.([-\w]+)\.outputs\.parameters\.([-\w]+)\s*\}\}$")


def _calls(workflow: WorkflowView) -> Iterator[CallView]:
    for template in workflow.every_template():
        yield from template.calls()


@rule(
    "L320",
    "depends-grammar",
    "error",
    what="A `depends` that cannot be parsed, such as `a &&`.",
    why="The task ends in Error when it is looked at; `argo lint` reads only the names.",
    source=_SEEN,
    needs="depends",
)
def depends_grammar(workflow: WorkflowView) -> Iterator[Issue]:
    for call in _calls(workflow):
        text = call.data.get("depends") or ""
        reason = syntax_error(text) if text and "{{" not in text else ""
        if reason:
            yield Issue((*call.path, "depends"), f"{call.label} depends {text!r}: {reason}")


@rule(
    "L366",
    "task-named-like-a-word",
    "error",
    what="A task that others depend on and whose name is a word of Argo's expressions, such as `in` or `else`.",
    why="`depends` becomes an expression: what depends on such a task ends in Error; `argo lint` does not see it.",
    source="expr-lang v1.17.8, each word tried; argo-workflows v4.1.2, workflow/controller/dag.go",
    needs="depend",
)
def task_named_like_a_word(workflow: WorkflowView) -> Iterator[Issue]:
    for template in workflow.every_template():
        calls = template.calls() if template.type == "DAG" else []
        wanted = {name for call in calls for name in dependencies(call.data)}
        for call in calls:
            if call.name in RESERVED and call.name in wanted:
                words = (
                    f"{call.label}: {call.name!r} is a word of Argo's expressions, and a task depends on it"
                )
                yield Issue(
                    (*call.path, "name"), words, fix=f"rename the task, for example to '{call.name}-task'"
                )


@rule(
    "L368",
    "item-with-escapes",
    "warning",
    what="`{{item.KEY}}` of a text that JSON has to escape: with a quote, a backslash, a tab or a line break.",
    why="Members of an item are passed on as JSON spells them: a line break arrives as backslash and n.",
    source="argo-workflows v4.1.2, pkg/apis/workflow/v1alpha1/item.go; seen on the real controller",
    needs="item.",
)
def item_with_escapes(workflow: WorkflowView) -> Iterator[Issue]:
    for call in _calls(workflow):
        escaped = {
            f"item.{key}": value
            for item in call.data.get("withItems") or ()
            if isinstance(item, dict)
            for key, value in item.items()
            if isinstance(value, str) and json.dumps(value, ensure_ascii=False)[1:-1] != value
        }
        body = {key: value for key, value in call.data.items() if key != "withItems"} if escaped else {}
        for path, text in strings(body):
            for name in sorted({tag.name for tag in tags_in(text)} & escaped.keys()):
                shown = json.dumps(escaped[name], ensure_ascii=False)[1:-1]
                words = f"{call.label}: {{{{{name}}}}} is passed on as {shown[:60]!r}"
                yield Issue(
                    (*call.path, *path),
                    words,
                    fix="decode it in the step, or loop over plain texts: {{item}}",
                )


@rule(
    "L321",
    "hook-template-undefined",
    "warning",
    what="A lifecycle hook or onExit of a step or task that calls a template which does not exist.",
    why="The workflow ends in Error when the hook is due; `argo lint` does not look at hooks.",
    source=_SEEN,
    fixable=True,
)
def hook_template_undefined(workflow: WorkflowView) -> Iterator[Issue]:
    names = tuple(template.name for template in workflow.templates)
    places = [("hooks", workflow.at("hooks"), workflow.spec.get("hooks") or {})]
    for call in _calls(workflow):
        places.append((f"{call.label}.hooks", (*call.path, "hooks"), call.data.get("hooks") or {}))
        wanted = call.data.get("onExit", "")
        if wanted and "{{" not in wanted and wanted not in names:
            words = f"{call.label}.onExit: template name {wanted!r} undefined"
            yield Issue((*call.path, "onExit"), words, near=names)
    if workflow.spec.get("workflowTemplateRef"):
        return
    for label, path, hooks in places:
        for name, hook in hooks.items():
            wanted = hook.get("template", "")
            if wanted and "{{" not in wanted and wanted not in names:
                words = f"{label}.{name}: template name {wanted!r} undefined"
                yield Issue((*path, name, "template"), words, near=names)


@rule(
    "L322",
    "sequence-without-end",
    "error",
    what="A withSequence with neither count nor end.",
    why="The step fails: `neither end nor count was specified in withSequence`.",
    source=_SEEN,
    needs="withSequence",
)
def sequence_without_end(workflow: WorkflowView) -> Iterator[Issue]:
    for call in _calls(workflow):
        sequence = call.data.get("withSequence")
        if sequence is not None and "count" not in sequence and "end" not in sequence:
            yield Issue((*call.path, "withSequence"), f"{call.label}.withSequence has neither count nor end")


@rule(
    "L323",
    "same-group-output",
    "warning",
    what="A step that uses an output of a step in its own group.",
    why="Steps of a group start together: the output is not there yet, and the workflow waits for ever.",
    source=_SEEN,
    needs="steps.",
)
def same_group_output(workflow: WorkflowView) -> Iterator[Issue]:
    for template in workflow.every_template():
        groups: dict[int, set[str]] = {}
        for call in template.calls():
            if call.family == "steps":
                groups.setdefault(call.group, set()).add(call.name)
        for call in template.calls():
            if call.family != "steps":
                continue
            body = {key: value for key, value in call.data.items() if key not in ("hooks", "inline")}
            for path, text in strings(body):
                for tag in tags_in(text):
                    match = re.match(r"=?\s*steps\.([-\w]+)\.outputs\.", tag.text)
                    if match and match[1] in groups[call.group]:
                        words = f"{call.label} uses an output of {match[1]!r}, which starts at the same time"
                        fix = "begin a new group with `- - name: ...`"
                        yield Issue((*call.path, *path), words, fix=fix)


@rule(
    "L324",
    "skipped-output",
    "warning",
    what="An output of a task that may be skipped, without a default, given to a task that runs anyway.",
    why="The absent output is a terminal error for its consumer.",
    source="argo-workflows v4.1.2, workflow/controller/scope.go (absent optional outputs)",
    needs="when",
)
def skipped_output(workflow: WorkflowView) -> Iterator[Issue]:
    walk = walk_of(workflow)
    for template in workflow.every_template():
        calls = {call.name: call for call in template.calls()}
        for call in calls.values():
            target = walk.targets.get(call.path)
            for index, item in enumerate(call.arguments("parameters")):
                match = _OUTPUT.match(item.get("value") or "")
                source = calls.get(match[2]) if match else None
                if not match or source is None or not source.data.get("when") or call.data.get("when"):
                    continue
                if template.type == "DAG" and not _runs_after_skip(call, match[2]):
                    continue
                maker = walk.targets.get(source.path)
                if maker is None or _has_default(maker, match[3]) or _input_default(target, item):
                    continue
                words = f"{call.label} uses the output {match[3]!r} of {match[2]!r}, which may be skipped"
                path = (*call.path, "arguments", "parameters", index, "value")
                yield Issue(path, words, fix=f"give the output {match[3]!r} a valueFrom.default")


@rule(
    "L325",
    "looped-result",
    "warning",
    what="outputs.result of a loop whose step prints text that is not JSON.",
    why="The results are collected as JSON; plain text makes the whole step or DAG fail.",
    source=_SEEN,
    needs="outputs.result",
)
def looped_result(workflow: WorkflowView) -> Iterator[Issue]:
    walk = walk_of(workflow)
    for template in workflow.every_template():
        calls = {call.name: call for call in template.calls()}
        for call in calls.values():
            for path, text in strings(call.data):
                for name in _RESULT.findall(text):
                    source = calls.get(name)
                    if source is None or not source.looped:
                        continue
                    maker = walk.targets.get(source.path)
                    if maker is not None and _prints_text(maker):
                        words = (
                            f"{call.label} collects the results of the loop {name!r}, which prints plain text"
                        )
                        yield Issue(
                            (*call.path, *path), words, fix="print JSON, or pass outputs through files"
                        )


@rule(
    "L326",
    "when-syntax",
    "error",
    what="A `when` with a single `=`.",
    why="The step fails: `Invalid 'when' expression`; write `==`.",
    source=_SEEN,
    fixable=True,
    needs="when",
)
def when_syntax(workflow: WorkflowView) -> Iterator[Issue]:
    for call in _calls(workflow):
        text = call.data.get("when") or ""
        plain = re.sub(r"'[^']*'|\"[^\"]*\"|\{\{.*?\}\}", "x", text)
        if _SINGLE_EQUALS.search(plain):
            words = f"{call.label} when {text!r}: Invalid token: '='"
            yield Issue((*call.path, "when"), words, fix="compare with ==")


@rule(
    "L327",
    "duration-syntax",
    "error",
    what="A duration of suspend, timeout or backoff that cannot be read.",
    why="The node ends in Error when it is reached. Units are s, m and h; a bare number is seconds.",
    source=_SEEN,
    scope="template",
)
def duration_syntax(template: TemplateView) -> Iterator[Issue]:
    suspend = template.data.get("suspend") or {}
    backoff = (template.data.get("retryStrategy") or {}).get("backoff") or {}
    places = [
        (("suspend", "duration"), suspend.get("duration", "")),
        (("timeout",), template.data.get("timeout", "")),
        (("retryStrategy", "backoff", "duration"), backoff.get("duration", "")),
        (("retryStrategy", "backoff", "maxDuration"), backoff.get("maxDuration", "")),
    ]
    for steps, text in places:
        if text and "{{" not in text and not is_loose(text):
            words = f"{template.label}.{'.'.join(steps)} {text!r} is not a duration"
            yield Issue((*template.path, *steps), words, fix="write a number with s, m or h")


@rule(
    "L328",
    "volume-undefined",
    "warning",
    what="A mount of a volume that neither the template nor the workflow defines.",
    why="Unless the controller's defaults bring it, the node ends in Error: `volume 'x' not found`.",
    source=_SEEN,
    fixable=True,
    needs="volumeMounts",
)
def volume_undefined(workflow: WorkflowView) -> Iterator[Issue]:
    if workflow.reusable or workflow.spec.get("workflowTemplateRef"):
        return  # the workflow that uses it may bring the volume
    shared = [item.get("name", "") for item in workflow.spec.get("volumes") or []]
    for claim in workflow.spec.get("volumeClaimTemplates") or []:
        shared.append((claim.get("metadata") or {}).get("name", ""))
    defaults = (workflow.spec.get("templateDefaults") or {}).get("volumes") or []
    shared += [item.get("name", "") for item in defaults]
    for template in workflow.every_template():
        if not template.pod:
            continue
        known = shared + [item.get("name", "") for item in template.data.get("volumes") or []]
        for path, container in template.containers():
            if template.type == "ContainerSet" and "containers" not in path:
                continue
            for index, mount in enumerate(container.get("volumeMounts") or []):
                name = mount.get("name", "")
                if name and name not in known and "{{" not in name:
                    words = f"{template.label}: volume {name!r} not found in workflow spec"
                    yield Issue((*path, "volumeMounts", index, "name"), words, near=tuple(known))


@rule(
    "L329",
    "or-waits-for-both",
    "info",
    what="`A || B` in depends.",
    why="depends is evaluated only when all tasks that it names have ended: it waits for both.",
    source="argo-workflows v4.1.2, workflow/controller/dag.go",
    needs="||",
)
def or_waits_for_both(workflow: WorkflowView) -> Iterator[Issue]:
    for call in _calls(workflow):
        names = dependencies(call.data)
        if "||" in (call.data.get("depends") or "") and len(names) > 1:
            words = f"{call.label} starts only when all of {', '.join(names)} have ended"
            yield Issue((*call.path, "depends"), words, fix="use separate paths to go on with the first")


@rule(
    "L317",
    "dag-fail-fast",
    "info",
    what="`failFast: true` written in a DAG.",
    why="It is the default, and stops almost nothing: what was created must finish, and what is ready is created.",
    source="argo-workflows v4.1.2, workflow/controller/dag.go (assessDAGPhase)",
    scope="template",
    needs="failFast",
)
def dag_fail_fast(template: TemplateView) -> Iterator[Issue]:
    if (template.data.get("dag") or {}).get("failFast") is True:
        words = f"{template.label}: failFast does not stop tasks that are running or ready"
        yield Issue((*template.path, "dag", "failFast"), words, fix="remove it", key=True)


def _runs_after_skip(call: CallView, name: str) -> bool:
    """Whether the task starts although ``name`` was skipped."""
    text = call.data.get("depends") or " && ".join(call.data.get("dependencies") or [])
    results = re.findall(rf"(?<![-\w]){re.escape(name)}(?:\.(\w+))?(?![-\w])", text)
    return any(result in ("", "Skipped") for result in results)


def _has_default(maker: TemplateView, name: str) -> bool:
    for item in maker.outputs("parameters"):
        if item.get("name") == name:
            return "default" in (item.get("valueFrom") or {}) or "value" in item
    return True


def _input_default(target: TemplateView | None, argument: Parameter) -> bool:
    if target is None:
        return True
    inputs = {item.get("name"): item for item in target.inputs("parameters")}
    return "default" in (inputs.get(argument.get("name")) or {})


def _prints_text(maker: TemplateView) -> bool:
    """Whether a shell template plainly echoes a word that is no JSON."""
    script = maker.data.get("script") or {}
    args = (script or maker.data.get("container") or {}).get("args")
    words = [script.get("source", ""), *(args or [])]
    return any(re.search(r"""\becho\s+["']?[a-zA-Z][\w ]*["']?\s*$""", word) for word in words)
