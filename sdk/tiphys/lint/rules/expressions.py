"""The insides of expressions, which `argo lint` does not look at: ``{{=…}}``, and those of retries and hooks.

The language is read by the same parser that runs it here (``tiphys.expr``), loaded only for a text that has any.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tiphys.argo.reader import Path
from tiphys.errors import did_you_mean
from tiphys.lazy import regex
from tiphys.lint.analysis import walk_of
from tiphys.lint.model import TemplateView, WorkflowView
from tiphys.lint.registry import Issue, rule
from tiphys.lint.scope import Scope
from tiphys.lint.tags import strings, tags_in
from tiphys.lint.walk import Inside

if TYPE_CHECKING:
    from tiphys.argo.types import WorkflowSpec, WorkflowStep
    from tiphys.expr.parser import Tree

_SOURCE = "expr-lang v1.17, argo-workflows v4.1.2, util/expr; seen on the real controller"


@rule(
    "L318",
    "expression-syntax",
    "error",
    what="An expression that cannot be compiled.",
    why="The node ends in Error when it is reached; `argo lint` does not look inside expressions.",
    source=_SOURCE,
)
def expression_syntax(workflow: WorkflowView) -> Iterator[Issue]:
    for path, label, source in _expressions(workflow):
        problem = _problem(source)
        if problem:
            yield Issue(path, f"{label}: {problem}", fix="see https://expr-lang.org/docs/language-definition")


@rule(
    "L359",
    "expression-function",
    "warning",
    what="An expression calls a function that does not exist.",
    why="Argo knows expr-lang's functions, its own (asInt, asFloat, jsonpath, toJson) and `sprig.…`.",
    source=_SOURCE,
)
def expression_function(workflow: WorkflowView) -> Iterator[Issue]:
    for path, label, source in _expressions(workflow):
        if "(" not in source or _problem(source):
            continue
        for name, known in _unknown_functions(source):
            yield Issue(path, f"{label} calls {name}, which does not exist.{did_you_mean(name, known)}")


@rule(
    "L367",
    "expression-name",
    "warning",
    what="An expression in a tag uses a name that nothing can provide there; often a name with a hyphen.",
    why="The tag stays in the text as it is written, on a cluster and here; `argo lint` does not look inside.",
    source="argo-workflows v4.1.2, util/template/expression_template.go",
    needs="{{=",
)
def expression_name(workflow: WorkflowView) -> Iterator[Issue]:
    walk = walk_of(workflow)
    seen = set()
    for inside in walk.expressions:
        if (inside.path, inside.text) in seen or _problem(inside.text):
            continue
        seen.add((inside.path, inside.text))
        label = f"{inside.label.removesuffix(':')} {{{{={_short(inside.text)}}}}}"
        for name, fix in _lost_names(inside, walk.globals):
            near = () if fix else tuple(inside.scope.every() | walk.globals.every())
            what = "takes {!r} for a subtraction" if fix else "uses {!r}, which nothing provides"
            words = f"{label} {what.format(name)}"
            yield Issue(inside.path, words, fix=fix, near=near, wrong=name, document=inside.workflow.document)


# What is there in some places and at some times only: no name below these is judged.
_AT_TIMES = frozenset(
    [
        "item",
        "outputs",
        "pod",
        "node",
        "retries",
        "lastRetry",
        "duration",
        "status",
        "exitCode",
        "resourcesDuration",
    ]
)
_WHOLE = ("inputs", "workflow", "steps", "tasks")
_GROUPS = regex(
    r"(inputs|workflow\.outputs)\.(parameters|artifacts)|workflow\.(parameters|labels|annotations|outputs)"
    r"|(steps|tasks)\.[^.]+(\.outputs(\.(parameters|artifacts))?)?"
)


def _lost_names(inside: Inside, shared: Scope) -> Iterator[tuple[str, str]]:
    from tiphys.expr.argo_functions import ARGO
    from tiphys.expr.evaluate import compile_expression
    from tiphys.expr.free_names import certain_paths

    lost = []
    names: set[str] = set()  # there may be many: gathered when a name is not found at once
    for path in certain_paths(compile_expression(inside.text).tree):
        name = ".".join(path)
        known = path[0] in _AT_TIMES or path[0] in ARGO or path[0] == "sprig"
        if known or (path[0] in _WHOLE and (inside.scope.knows(name) or shared.knows(name))):
            continue
        names = names or inside.scope.every() | shared.every()
        if not _resolves(name, names):
            lost.append(name)
    pieces: set[str] = set()  # of names with hyphens, as the parser takes them
    for name in sorted(names) if lost and "-" in inside.text else ():
        written = next((part for part in (name, name.rpartition(".")[2]) if _spelled(part, inside.text)), "")
        if written and written.split("-")[0] in lost:
            pieces.update(written.split("-"))
            yield written, f"write {_bracketed(name)}"
    for name in lost:
        if name not in pieces:
            yield name, ""


def _resolves(name: str, names: set[str]) -> bool:
    """Whether something that is no variable itself is there: a group of variables, or a member of a value."""
    if name in ("inputs.artifacts", "workflow.parameters"):
        return True
    if name.startswith(("workflow.failures", "workflow.status", "workflow.outputs")):
        return True
    if _GROUPS.fullmatch(name):
        return any(known.startswith(f"{name}.") for known in names)
    # a member of a value: what that is, only a run knows
    return any(name.startswith(f"{known}.") for known in names if not _GROUPS.fullmatch(known))


def _spelled(name: str, text: str) -> bool:
    """Whether a name with hyphens is written out in an expression, perhaps with blanks around them."""
    if "-" not in name:
        return False
    pattern = r"\s*-\s*".join(re.escape(part) for part in name.split("-"))
    return re.search(rf"(?<![\w.]){pattern}(?![\w-])", text) is not None


def _bracketed(name: str) -> str:
    text, *parts = name.split(".")
    for part in parts:
        text += f".{part}" if part.isidentifier() else f"['{part}']"
    return text


def _expressions(workflow: WorkflowView) -> list[tuple[Path, str, str]]:
    """Every expression without tags inside: its place, how to call it, its text."""
    found = workflow.cache.get("expressions")
    if not isinstance(found, list):
        found = workflow.cache["expressions"] = list(_every_expression(workflow))
    return found


def _every_expression(workflow: WorkflowView) -> Iterator[tuple[Path, str, str]]:
    spec = {key: value for key, value in workflow.spec.items() if key != "templates"}
    yield from _tagged(workflow.spec_path, spec, workflow.name)
    yield from _hooks(workflow.spec_path, workflow.spec, "spec")
    for template in workflow.every_template():
        yield from _of_template(template)


def _of_template(template: TemplateView) -> Iterator[tuple[Path, str, str]]:
    if not template.inline:  # those are part of the template that holds them
        yield from _tagged(template.path, template.data, template.label)
    retry = (template.data.get("retryStrategy") or {}).get("expression") or ""
    if retry and "{{" not in retry:
        yield (
            (*template.path, "retryStrategy", "expression"),
            f"{template.label}.retryStrategy.expression",
            retry,
        )
    for call in template.calls():
        yield from _hooks(call.path, call.data, call.label)


def _hooks(path: Path, data: WorkflowSpec | WorkflowStep, label: str) -> Iterator[tuple[Path, str, str]]:
    for name, hook in (data.get("hooks") or {}).items():
        text = (hook or {}).get("expression") or ""
        if text and "{{" not in text:
            yield (*path, "hooks", name, "expression"), f"{label}.hooks.{name}.expression", text


def _tagged(path: Path, data: object, label: str) -> Iterator[tuple[Path, str, str]]:
    for below, text in strings(data, path):
        for tag in tags_in(text) if "{{=" in text else ():
            if tag.source is not None:
                yield below, f"{label}: {{{{{_short(tag.text)}}}}}", tag.source


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}…"


class _Everything(dict[str, object]):
    """An environment that has every name, of no known kind."""

    def __contains__(self, key: object) -> bool:
        return True


def _problem(source: str) -> str:
    from tiphys.expr.evaluate import ExprError, compile_expression

    try:
        compile_expression(source).check(_Everything())
    except ExprError as error:
        return str(error).splitlines()[0]
    return ""


def _unknown_functions(source: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    from tiphys.expr.argo_functions import ARGO
    from tiphys.expr.builtins import NAMES
    from tiphys.expr.evaluate import compile_expression
    from tiphys.expr.sprig import LEFT_OUT, SPRIG

    plain = (*NAMES, *ARGO)
    for callee in _callees(compile_expression(source).tree):
        if callee[0] == "name" and callee[1] not in plain:
            yield callee[1], plain
        elif (
            callee[0] == "member"
            and callee[1][:2] == ("name", "sprig")
            and callee[2][1] not in {*SPRIG, *LEFT_OUT}
        ):
            yield f"sprig.{callee[2][1]}", tuple(f"sprig.{name}" for name in SPRIG)


def _callees(tree: object) -> Iterator[Tree]:
    if isinstance(tree, tuple) and tree and tree[0] == "call":
        yield tree[1]
    if isinstance(tree, (tuple, list)):
        for part in tree:
            yield from _callees(part)
