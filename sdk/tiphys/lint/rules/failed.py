"""Outputs of what went wrong, named by what runs all the same: they are not there, and Argo waits for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import product

from tiphys.lazy import regex
from tiphys.lint.model import CallView, WorkflowView
from tiphys.lint.registry import Issue, rule
from tiphys.lint.tags import Tag, strings, tags_in

_OUTPUTS = regex(
    r"""(?<![-\w.])(?:steps|tasks)\??(?:\.([-\w]+)|\.?\[\s*['"]([-\w]+)['"]\s*\])\??\.outputs\??\.(?:parameters|result)\b"""
)
_ENDED = ("Succeeded", "Failed", "Errored", "Skipped", "Omitted")
_MOST_NAMES = 4  # of a `depends` with `!`, whose every outcome is tried


@rule(
    "L376",
    "failed-output",
    "warning",
    what="An output of a step or task that may have failed, named by one that runs all the same.",
    why="What went wrong has no outputs, whatever default they have: the workflow waits for them for ever, also before "
    "`??` and for the branch of a condition that is not taken. Only with `?.` it goes on (in a DAG before 4.1 not even "
    "then).",
    source="seen on the real 4.0.5 controller (tests/conformance/own40/failed.yaml); argo-workflows v4.1.2, "
    "util/template/expression_template.go",
    needs="outputs.",
)
def failed_output(workflow: WorkflowView) -> Iterator[Issue]:
    chained_waits = workflow.project.argo == "4.0"
    for template in workflow.every_template():
        calls = {call.name: call for call in template.calls()}
        for call in calls.values():
            failed: set[str] | None = None
            when = call.data.get("when") or ""
            for path, text in strings(_read_before(call.data)):
                for tag in tags_in(text):
                    for name in sorted(_named(tag, chained_waits and call.family == "tasks")):
                        failed = _may_have_failed(call, calls) if failed is None else failed
                        if name in failed and f"{call.family}.{name}.status" not in when:
                            words = f"{call.label} runs when {name!r} has failed, too, and then waits for its output"
                            yield Issue((*call.path, *path), words, fix=_fix(call, name))


def _fix(call: CallView, name: str) -> str:
    whole = f"{call.family}.{name}" if re.fullmatch(r"\w+", name) else f"{call.family}['{name}']"
    return f"pass {{{{=toJson({whole})}}}}, which has its status and what outputs there are"


def _read_before(data: Mapping[str, object]) -> dict[str, object]:
    """What is filled in before the step or task begins: not its hooks, nor a template inside it."""
    return {key: value for key, value in data.items() if key not in ("hooks", "inline", "depends")}


def _named(tag: Tag, chained_waits: bool) -> set[str]:
    """The steps or tasks of whose outputs the tag cannot do without."""
    if tag.expression and "?." in tag.text and not chained_waits:
        return set()
    return {match[1] or match[2] for match in _OUTPUTS.finditer(tag.text)}


def _may_have_failed(call: CallView, calls: Mapping[str, CallView]) -> set[str]:
    """Of what comes right before a step or task, those that may have gone wrong when it runs. A loop's outputs are
    those of its items that went well, and are no matter of this rule."""
    if call.family == "steps":
        return {
            name
            for name, other in calls.items()
            if other.group < call.group and any(_continues_on(other)) and not _loops(other)
        }
    return {name for name in _runs_after(call, calls) if name in calls and not _loops(calls[name])}


def _loops(call: CallView) -> bool:
    return call.looped or bool(call.data.get("withSequence"))


def _continues_on(call: CallView | None) -> tuple[bool, bool]:
    """What ``continueOn`` says of errors and of failures."""
    said = (call.data.get("continueOn") if call else None) or {}
    return bool(said.get("error")), bool(said.get("failed"))


def _runs_after(call: CallView, calls: Mapping[str, CallView]) -> Iterator[str]:
    """The tasks of its ``depends`` with whose failure it holds, whatever becomes of the others."""
    text = call.data.get("depends") or " && ".join(call.data.get("dependencies") or [])
    if not text or "{{" in text:
        return
    from tiphys.expr.depends import parse_depends
    from tiphys.expr.evaluate import ExprError

    try:
        logic = parse_depends(text, lambda name: _continues_on(calls.get(name)))
        if "!" in text and len(logic.tasks) > _MOST_NAMES:
            return
        for name in logic.tasks:
            endings = _endings(logic.tasks, name) if "!" in text else [_all_but_success(logic.tasks, name)]
            if any(logic.holds(ended) for ended in endings):
                yield name
    except ExprError:
        return  # L320 says so


_GROUP = {"Daemoned": False, "AnySucceeded": False, "AllFailed": False}


def _all_but_success(names: tuple[str, ...], failed: str) -> dict[str, dict[str, bool]]:
    """Every result at once, but for ``failed``: without a ``!`` more results never make a ``depends`` false."""
    every = dict.fromkeys((*_ENDED, *_GROUP), True)
    return {
        name: {each: each in ("Failed", "Errored") for each in every} if name == failed else every
        for name in names
    }


def _endings(names: tuple[str, ...], failed: str) -> Iterator[dict[str, dict[str, bool]]]:
    """Every way in which the tasks can end of which ``failed`` went wrong."""
    for ends in product(*(("Failed", "Errored") if name == failed else _ENDED for name in names)):
        yield {
            name: _GROUP | {each: each == end for each in _ENDED}
            for name, end in zip(names, ends, strict=True)
        }
