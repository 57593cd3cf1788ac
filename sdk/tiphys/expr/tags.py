"""Template tags: ``{{name}}`` and ``{{=expression}}`` in the strings of an Argo object.

Argo substitutes over the JSON text of an object; since a value is escaped for the JSON string it lands in, that is
the same as substituting in each string (and key) by itself, which is what is done here. An object is compiled once
to a plan that knows where tags are, so that rendering costs only what changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Protocol, TypeVar, cast

from tiphys.expr import gojson
from tiphys.expr.argo_functions import ARGO
from tiphys.expr.evaluate import ExprError, Program, compile_expression
from tiphys.expr.sprig import SPRIG
from tiphys.lazy import regex

Render = Callable[[str], str]
T = TypeVar("T")

__all__ = [
    "MISSING",
    "Chain",
    "Layers",
    "NotReadyError",
    "Plan",
    "TagError",
    "Variables",
    "compile_plan",
    "environment",
    "has_tags",
    "keeps_tags",
    "substitute",
]


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()


class TagError(Exception):
    """A tag cannot be resolved; the text is Argo's."""


class NotReadyError(TagError):
    """A step or task's value that must be there is not: Argo would wait for it."""


class Variables(Protocol):
    """A scope: names to values (a string, or None for the output of a skipped node without default).

    One that is ``unguarded`` reads expressions as Argo 4.0 does: a step's value that is named must be there, whatever
    ``??`` stands behind it.
    """

    def find(self, name: str) -> object:
        """Return the value of a dotted name, or ``MISSING``."""

    def tree(self, root: str, members: set[str] | None) -> object:
        """Return what ``root`` is in an expression (nested mappings), or ``MISSING``.

        ``members`` limits what is needed of it.
        """


class Layers:
    """Flat maps of dotted names, the first that knows a name wins.

    ``early``: this text is read again when its steps are; until then the workflow's outputs are left alone.
    """

    __slots__ = ("_trees", "early", "maps")

    def __init__(self, *maps: Mapping[str, object], early: bool = False) -> None:
        self.maps = maps
        self.early = early
        self._trees: dict[str, object] = {}

    def refresh(self) -> None:
        """Forget nested forms: the maps changed."""
        self._trees.clear()

    def find(self, name: str) -> object:
        value = self.raw(name)
        return MISSING if isinstance(value, dict) else value

    def raw(self, name: str) -> object:
        """Return a value that may also be an artifact."""
        for layer in self.maps:
            value = layer.get(name, MISSING)
            if value is not MISSING:
                return value
        return MISSING

    def tree(self, root: str, members: set[str] | None) -> object:
        if root not in self._trees:
            self._trees[root] = self._expand(root)
        return self._trees[root]

    def _expand(self, root: str) -> object:
        prefix = root + "."
        result: object = MISSING
        for layer in reversed(self.maps):
            for name, value in layer.items():
                if name == root:
                    if not isinstance(result, dict):
                        result = value
                elif name.startswith(prefix):
                    if not isinstance(result, dict):
                        result = {}
                    insert(result, name[len(prefix) :].split("."), value)
        return result


class Chain:
    """Two scopes; the first that knows a name wins."""

    __slots__ = ("early", "first", "second")

    def __init__(self, first: Variables, second: Variables) -> None:
        self.first = first
        self.second = second
        self.early: bool = getattr(second, "early", False)

    def find(self, name: str) -> object:
        value = self.first.find(name)
        return self.second.find(name) if value is MISSING else value

    def tree(self, root: str, members: set[str] | None) -> object:
        value = self.first.tree(root, members)
        return self.second.tree(root, members) if value is MISSING else value


def insert(tree: dict[str, object], path: list[str], value: object) -> None:
    """Put ``value`` at ``path``; a name that also has members below it gives way to them."""
    for part in path[:-1]:
        inner = tree.get(part)
        if not isinstance(inner, dict):
            inner = tree[part] = {}
        tree = inner
    last = path[-1]
    if not isinstance(tree.get(last), dict):
        tree[last] = value


def environment(program: Program, variables: Variables) -> dict[str, object]:
    """Return the values that ``program`` needs: Argo's functions and the roots it names."""
    env: dict[str, object] = {}
    for root, members in program.roots.items():
        if root == "sprig":
            env[root] = SPRIG
            continue
        value = variables.tree(root, members)
        if value is not MISSING:
            env[root] = value
        elif root in ARGO:
            env[root] = ARGO[root]
    env["string"] = ARGO["string"]
    return env


@lru_cache(maxsize=65536)
def _pieces(text: str) -> tuple[str | tuple[str], ...]:
    """Split into literals and 1-tuples of tag bodies."""
    pieces: list[str | tuple[str]] = []
    position = 0
    while True:
        start = text.find("{{", position)
        if start < 0:
            break
        end = _tag_end(text, start + 2)
        if end < 0:
            break
        if start > position:
            pieces.append(text[position:start])
        pieces.append((text[start + 2 : end],))
        position = end + 2
    if position < len(text):
        pieces.append(text[position:])
    return tuple(pieces)


def _tag_end(text: str, start: int) -> int:
    return text.find("}}", start)


def has_tags(text: str) -> bool:
    """Return whether ``text`` may hold a tag."""
    return "{{" in text


def substitute(
    text: str, variables: Variables, *, strict: tuple[str, ...] | None = (), literal: bool = False
) -> str:
    """Replace the tags of one string.

    ``strict``: None means every tag must resolve; otherwise a tag stays when nothing is known of it, unless its name
    starts with one of the given prefixes. ``literal``: no value may bring a tag along.

    Raises
    ------
    TagError
        A tag that must resolve does not, a value is the output of a skipped node without a default, or one holds a tag
        and must be literal.
    """
    if "{{" not in text:
        return text
    out: list[str] = []
    for piece in _pieces(text):
        if isinstance(piece, str):
            out.append(piece)
        elif piece[0].startswith("="):
            out.append(_expression(piece[0], variables, strict))
        else:
            out.append(_simple(piece[0], variables, strict))
    result = "".join(out)
    if literal and "{{" in result:
        _refuse_brought(text, result)
    return result


def keeps_tags(text: str, variables: Variables) -> bool:
    """Return whether a tag of ``text`` stays: nothing is known of it."""
    return any(
        isinstance(piece, tuple) and substitute("{{" + piece[0] + "}}", variables) == "{{" + piece[0] + "}}"
        for piece in _pieces(text)
    )


def _refuse_brought(text: str, result: str) -> None:
    """Raise TagError when a value brought along a tag, or the beginning of one, that ``text``, into which it was put,
    does not have itself."""
    known = set(_pieces(text))
    for piece in _pieces(result):
        if "{{" in piece if isinstance(piece, str) else piece not in known:
            said = piece if isinstance(piece, str) else "{{" + piece[0] + "}}"
            if said not in text:
                raise TagError(
                    f"a value holds {said[said.index('{{') :][:80]!r}, which Argo would take for a tag "
                    "(--strict-values refuses it)"
                )


def _simple(tag: str, variables: Variables, strict: tuple[str, ...] | None) -> str:
    name = tag.strip()
    value = variables.find(name)
    if value is MISSING:
        nested = tag.rfind("{{")
        if nested > 0:
            inner = variables.find(tag[nested + 2 :])
            if inner is not MISSING and inner is not None:
                return "{{" + tag[:nested] + str(inner)
        if strict is None:
            raise TagError(f"failed to resolve {{{{{tag}}}}}")
        if strict and name.startswith(strict) and (strict != ("steps.",) or ".outputs." in name):
            raise NotReadyError(f"failed to resolve {{{{{tag}}}}}")
        return "{{" + tag + "}}"
    if value is None:
        raise TagError(
            f"unable to substitute {{{{{name}}}}}: output is an absent optional (skipped/omitted node with no default)"
        )
    return value if isinstance(value, str) else gojson.marshal(value)


def _expression(tag: str, variables: Variables, strict: tuple[str, ...] | None) -> str:
    """Replace one expression; its errors are Argo's.

    A text that is no expression is always an error. Where tags may stay, one that fails because of a name that is not
    there stays. Any other failure is an error where steps and tasks are resolved, and stays in the text of a template.
    """
    source = tag[1:]
    try:
        program = compile_expression(source)
    except ExprError as error:
        raise TagError(f"failed to evaluate expression: {error}") from None
    env = environment(program, variables)
    if strict is not None and _names_item(source) and variables.find("item") is MISSING:
        return "{{" + tag + "}}"
    if strict and getattr(variables, "unguarded", False):
        for name in map(".".join, _asked_for(program, "?." in source)):
            if name.startswith(strict) and not _holds(env, name.split(".")):
                raise NotReadyError(f"failed to evaluate expression: {name} is missing")
    try:
        waits = getattr(variables, "early", False) and any(
            path[:2] == ("workflow", "outputs") for path in program.paths
        )
        result = None if waits or _too_early(program, env) else program.run(env)
        if result is not None:
            return result if isinstance(result, str) else _marshal(result)
        problem = f'failed to evaluate expression "{source}"'
    except ExprError as error:
        problem = f"failed to evaluate expression: {error}"
    except TagError as error:
        problem = str(error)
    if strict == ():
        return "{{" + tag + "}}"
    missing = [name for name in map(".".join, program.paths) if not _holds(env, name.split("."))]
    if _too_early(program, env):
        missing.append("workflow.failures")
    if missing and strict is None:
        raise TagError(f"failed to evaluate expression: {missing[0]} is missing")
    if strict and any(name.startswith(("steps.", "tasks.")) for name in missing):
        if "?" in source:
            raise TagError(problem)
        raise NotReadyError(problem)
    if missing:
        return "{{" + tag + "}}"
    raise TagError(problem)


_ITEM = regex(r"(?<![\w$])item(?!\w)")
_QUOTED = regex(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|`[^`]*`")


@lru_cache(maxsize=4096)
def _names_item(source: str) -> bool:
    """Whether the word ``item`` is in an expression, also as a member's name: it then waits for a loop, for Argo looks
    at the words alone (seen on 4.0.5)."""
    return "item" in source and _ITEM.search(_QUOTED.sub("", source)) is not None


def _asked_for(program: Program, chained: bool) -> Iterable[tuple[str, ...]]:
    """What Argo 4.0 wants to be there before it evaluates: all names; with ``?.`` the outputs of a task as a whole, and
    nothing of a step (seen on 4.0.5: tests/conformance/own40/failed.yaml and skipped.yaml)."""
    return (path[:3] for path in program.paths if path[0] == "tasks") if chained else program.paths


def _too_early(program: Program, env: Mapping[str, object]) -> bool:
    """Return whether the status or the failures are asked for before they are there: they must not become nil.

    A template is read without them; its steps, tasks and exit handlers are read with them.
    Source: argo-workflows v4.1.2, util/template/expression_template.go.
    """
    workflow = env.get("workflow")
    known = workflow if isinstance(workflow, Mapping) else {}
    if ("workflow", "failures") in program.paths and not known.get("failures"):
        return True
    return ("workflow", "status") in program.paths and "status" not in known


def _marshal(result: object) -> str:
    try:
        text = gojson.marshal(result)
        return str(gojson.unmarshal(text)) if text[0] == '"' else text  # a time or a version
    except (TypeError, ValueError) as error:
        raise TagError(f"failed to marshal evaluated expression: {error}") from None


def _holds(env: Mapping[str, object], path: list[str]) -> bool:
    value: object = env
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return False
        value = value[part]
    return True


class Plan:
    """Where the tags of an object are. ``render`` copies only what holds one."""

    __slots__ = ("_items", "_keys", "_members")

    def __init__(
        self,
        members: Sequence[tuple[str, Plan]] = (),
        items: Sequence[tuple[int, Plan]] = (),
        keys: bool = False,
    ) -> None:
        self._members = members
        self._items = items
        self._keys = keys

    def render(self, value: T, replace: Render) -> T:
        """Return ``value`` with ``replace`` applied to each string that holds a tag."""
        return cast("T", self._render(value, replace))  # text stays text, and a map or list what it is

    def _render(self, value: object, replace: Render) -> object:
        if isinstance(value, str):
            return replace(value)
        if isinstance(value, dict):
            copy = dict(value)
            for key, plan in self._members:
                copy[key] = plan._render(value[key], replace)
            return {replace(key): item for key, item in copy.items()} if self._keys else copy
        assert isinstance(value, (list, tuple))
        items = list(value)
        for place, plan in self._items:
            items[place] = plan._render(value[place], replace)
        return items


def compile_plan(value: object) -> Plan | None:
    """Return where the tags of ``value`` are, or None if it holds none."""
    if isinstance(value, str):
        return Plan() if "{{" in value else None
    if isinstance(value, dict):
        members, keys = [], False
        for key, item in value.items():  # a loop: a pod's template is gone through once more for each pod
            if isinstance(key, str) and "{{" in key:
                keys = True
            if (plan := compile_plan(item)) is not None:
                members.append((key, plan))
        return Plan(members, keys=keys) if members or keys else None
    if isinstance(value, (list, tuple)):
        items = []
        for place, item in enumerate(value):
            if (plan := compile_plan(item)) is not None:
                items.append((place, plan))
        return Plan(items=items) if items else None
    return None
