"""What nodes offer to the steps and tasks after them, and what a Steps or DAG template returns."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol, cast

from tiphys.argo.any_string import any_string
from tiphys.argo.version import NEWEST, Argo
from tiphys.engine.machine.arguments import has_location
from tiphys.expr import gojson
from tiphys.expr.evaluate import ExprError, compile_expression
from tiphys.expr.gojson_scan import compact, syntax_error
from tiphys.expr.tags import MISSING, Layers, TagError, Variables, environment, insert, substitute
from tiphys.lazy import regex

if TYPE_CHECKING:
    from tiphys.argo.types import Artifact, Node, Outputs, Parameter, Template, ValueFrom
    from tiphys.jsontypes import JsonObject


Flat = dict[str, object]  # text, None for what is absent, or an artifact

__all__ = [
    "ArtifactScope",
    "BoundaryScope",
    "ScopeError",
    "aggregate",
    "node_values",
    "resolve_artifact",
    "skipped_values",
    "template_outputs",
]


class ScopeError(Exception):
    """An output or argument cannot be resolved; the text is Argo's."""


class ArtifactScope(Variables, Protocol):
    """Variables of which some are artifacts."""

    def raw(self, name: str) -> object:
        """Return a variable or an artifact."""


class BoundaryScope:
    """The variables inside one Steps or DAG: its inputs, its finished nodes, the globals.

    ``provider(name)`` returns the flat values (full dotted names) of a step or task that may be referred to.
    """

    __slots__ = ("_base", "_inputs", "_provider", "_trees", "argo", "kind", "names", "unguarded")

    def __init__(
        self,
        kind: str,
        base: Layers,
        template: Template,
        provider: Callable[[str], Flat | None],
        names: Callable[[], Iterable[str]],
        argo: Argo = NEWEST,
    ) -> None:
        self.kind = kind
        self.argo = argo
        self.unguarded = argo == "4.0"  # `??` excuses no name that is not there
        self.names = names
        self._base = base
        self._provider = provider
        self._trees: dict[str, object] = {}
        self._inputs: Flat = {}
        inputs = template.get("inputs") or {}
        for item in inputs.get("parameters") or ():
            if item.get("value") is not None:
                self._inputs[f"inputs.parameters.{item['name']}"] = item["value"]
        for artifact in inputs.get("artifacts") or ():
            self._inputs[f"inputs.artifacts.{artifact['name']}"] = artifact

    def find(self, name: str) -> object:
        """Return a variable; artifacts are not text and count as missing."""
        value = self.raw(name)
        return MISSING if isinstance(value, dict) else value

    def raw(self, name: str) -> object:
        """Return a variable or an artifact."""
        root, _, rest = name.partition(".")
        if root == self.kind:
            flat = self._provider(rest.partition(".")[0])
            return MISSING if flat is None else flat.get(name, MISSING)
        if root == "inputs":
            return self._inputs.get(name, MISSING)
        return self._base.raw(name)

    def tree(self, root: str, members: set[str] | None) -> object:
        if root == self.kind:
            result: dict[str, object] = {}
            for name in members if members is not None else self.names():
                flat = self._provider(name)
                if flat is not None:
                    if name not in self._trees:
                        self._trees[name] = _expand(flat)
                    result[name] = self._trees[name]
            return result
        if root == "inputs":
            if "inputs" not in self._trees:
                tree: dict[str, object] = {}
                for name, value in self._inputs.items():
                    insert(tree, name.split(".", 2)[1:], value)
                self._trees["inputs"] = tree
            return self._trees["inputs"]
        return self._base.tree(root, members)

    def forget(self, name: str) -> None:
        """Drop what is kept of a node whose values changed."""
        self._trees.pop(name, None)


def _expand(flat: Flat) -> dict[str, object]:
    tree: dict[str, object] = {}
    for name, value in flat.items():
        parts = name.split(".")
        if len(parts) > 2:
            # a parameter's name may itself not be split further than the kinds before it
            head = parts[2:]
            if len(head) > 3 and head[0] == "outputs":
                head = [*head[:2], ".".join(head[2:])]
            insert(tree, head, value)
    return tree


def node_values(prefix: str, node: Node) -> Flat:
    """Return what one finished node offers: ``<prefix>.status``, ``.outputs.parameters.x`` and so on."""
    values: Flat = {f"{prefix}.id": node["id"]}
    if node.get("startedAt"):
        values[f"{prefix}.startedAt"] = node["startedAt"]
    if node.get("finishedAt"):
        values[f"{prefix}.finishedAt"] = node["finishedAt"]
    if node.get("podIP"):
        values[f"{prefix}.ip"] = node["podIP"]
    values[f"{prefix}.status"] = node["phase"]
    if node.get("hostNodeName"):
        values[f"{prefix}.hostNodeName"] = node["hostNodeName"]
    outputs = node.get("outputs")
    if outputs:
        if outputs.get("result") is not None:
            values[f"{prefix}.outputs.result"] = outputs["result"]
        if outputs.get("exitCode") is not None:
            values[f"{prefix}.exitCode"] = outputs["exitCode"]
        for item in outputs.get("parameters") or ():
            if item.get("value") is not None:
                values[f"{prefix}.outputs.parameters.{item['name']}"] = any_string(item["value"])
        for artifact in outputs.get("artifacts") or ():
            values[f"{prefix}.outputs.artifacts.{artifact['name']}"] = artifact
    return values


def skipped_values(prefix: str, template: Template | None, argo: Argo = NEWEST) -> Flat:
    """Return the outputs that a skipped or omitted node stands for: defaults, or None for "absent optional".

    In 4.0 a task's parameters are empty texts, and a step has nothing.
    """
    values: Flat = {}
    outputs: Outputs = (template or {}).get("outputs") or {}
    if argo == "4.0" and prefix.startswith("steps."):
        return values
    for item in outputs.get("parameters") or ():
        default = (item.get("valueFrom") or {}).get("default")
        value = None if default is None else any_string(default)
        values[f"{prefix}.outputs.parameters.{item['name']}"] = "" if argo == "4.0" else value
    for artifact in outputs.get("artifacts") or ():
        values[f"{prefix}.outputs.artifacts.{artifact['name']}"] = {"name": artifact["name"], "absent": True}
    return values


def aggregate(prefix: str, children: Iterable[Node]) -> Flat:
    """Return the lists that the children of a loop make together.

    Raises
    ------
    ScopeError
        A result that is not JSON.
    """
    results: list[str] = []
    lists: list[dict[str, str]] = []
    by_name: dict[str, list[str]] = {}
    has_result = False
    for node in children:
        outputs = node.get("outputs")
        if node["phase"] != "Succeeded" or not outputs:
            continue
        values: dict[str, str] = {}
        for item in outputs.get("parameters") or ():
            text = any_string(item.get("value", ""))
            values[item["name"]] = text
            by_name.setdefault(item["name"], []).append(text)
        if outputs.get("parameters"):
            lists.append(values)
        if outputs.get("result") is not None:
            has_result = True
            results.append(outputs["result"])
    flat: Flat = {f"{prefix}.outputs.parameters": gojson.marshal(lists)}
    if has_result or not results:
        flat[f"{prefix}.outputs.result"] = _join_results(results)
    for name, texts in by_name.items():
        flat[f"{prefix}.outputs.parameters.{name}"] = _join_parameter(texts)
    return flat


def _join_results(results: list[str]) -> str:
    parts = []
    for text in results:
        problem = syntax_error(text)
        if problem:
            raise ScopeError(problem)
        parts.append(compact(text))
    return "[" + ",".join(parts) + "]"


def _join_parameter(texts: list[str]) -> str:
    parsed = []
    for text in texts:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return gojson.marshal(texts)
        if not isinstance(value, (dict, list)):
            return gojson.marshal(texts)
        parsed.append(value)
    return gojson.marshal(parsed)


_PURE = regex(r"^\s*\{\{\s*([^{}=][^{}]*?)\s*\}\}\s*$")


def resolve_artifact(artifact: Artifact, scope: ArtifactScope) -> Artifact | None:
    """Return the artifact that ``from`` or ``fromExpression`` means, with ``subPath`` applied; None if it is absent.

    Raises
    ------
    ScopeError
        ``Unable to resolve …``
    """
    if artifact.get("from"):
        match = _PURE.match(artifact["from"])
        name = match.group(1) if match else str(artifact["from"])
        value = scope.raw(name)
        shown = f'"{name}"'
    else:
        expression = str(artifact.get("fromExpression") or "")
        shown = expression
        try:
            program = compile_expression(expression)
            value = program.run(environment(program, scope))
        except ExprError as error:
            raise ScopeError(f"unable to evaluate expression: {error}") from None
        value = MISSING if value is None else value
    if not isinstance(value, dict):
        if artifact.get("optional"):
            return None
        raise ScopeError(f"Unable to resolve: {shown}")
    if value.get("absent"):
        return None
    result = cast("Artifact", value).copy()
    if not (has_location(result) or result.get("from")):
        return None
    result.pop("name", None)
    result.pop("path", None)
    result.pop("globalName", None)
    result.pop("mode", None)
    result.pop("from", None)
    result.pop("optional", None)
    sub_path = artifact.get("subPath")
    if sub_path:
        sub_path = substitute(sub_path, scope)
        result = append_key(result, sub_path)
    if artifact.get("archive") is not None:
        result["archive"] = artifact["archive"]
    return result


_KEYS = (
    ("s3", "key"), ("gcs", "key"), ("oss", "key"), ("azure", "blob"), ("hdfs", "path"), ("artifactory", "url"),
    ("http", "url"),
)  # fmt: skip


def append_key(artifact: Artifact, sub_path: str) -> Artifact:
    """Return the artifact with ``sub_path`` appended to its key."""
    copy = cast("dict[str, JsonObject]", artifact.copy())
    for kind, field in _KEYS:
        if copy.get(kind):
            location = dict(copy[kind])
            location[field] = str(location.get(field, "")).rstrip("/") + "/" + sub_path.lstrip("/")
            copy[kind] = location
            break
    return cast("Artifact", copy)


def template_outputs(template: Template, scope: BoundaryScope) -> Outputs | None:
    """Return the outputs of a Steps or DAG template.

    Raises
    ------
    ScopeError
        One cannot be resolved.
    """
    declared = template.get("outputs") or {}
    outputs: Outputs = {}
    parameters: list[Parameter] = []
    for item in declared.get("parameters") or ():
        source = item.get("valueFrom")
        if source is None:
            raise ScopeError("output parameters must have a valueFrom specified")
        try:
            value = _output_value(source, scope)
        except (ScopeError, TagError) as error:
            if source.get("default") is None:
                absent = "is an absent optional" in str(error)
                raise ScopeError(
                    f'output parameter "{item["name"]}": {error}' if absent else str(error)
                ) from None
            value = any_string(source["default"])
        result = item.copy()
        result.pop("valueFrom")
        result["value"] = value
        parameters.append(result)
    if parameters:
        outputs["parameters"] = parameters
    artifacts: list[Artifact] = []
    for artifact in declared.get("artifacts") or ():
        try:
            resolved = resolve_artifact(artifact, scope)
        except ScopeError as error:
            if artifact.get("optional"):
                continue
            raise ScopeError(f"unable to resolve outputs from scope: {error}") from None
        if resolved is not None:
            resolved = {"name": artifact["name"], **resolved}
            if artifact.get("globalName"):
                resolved["globalName"] = artifact["globalName"]
            artifacts.append(resolved)
    if artifacts:
        outputs["artifacts"] = artifacts
    return outputs or None


def _output_value(source: ValueFrom, scope: BoundaryScope) -> str:
    if source.get("expression"):
        try:
            program = compile_expression(source["expression"])
            known = environment(program, scope)
            known.pop("workflow", None)  # Argo evaluates it over the template's own values only
            value = program.run(known)
        except ExprError as error:
            raise ScopeError(str(error)) from None
        if value is None and scope.argo == "4.0":
            return "<nil>"
        if value is None:
            raise ScopeError(f'failed to evaluate expression "{source["expression"]}"')
        return value if isinstance(value, str) else gojson.marshal(value)
    reference = str(source.get("parameter") or "")
    match = _PURE.match(reference)
    name = match.group(1) if match else reference
    value = scope.find(name)
    if value is MISSING:
        if match is None and "{{" in reference:
            return substitute(reference, scope, strict=None)
        raise ScopeError(f'Unable to resolve: "{name}"')
    if value is None:
        raise ScopeError(f'"{reference}" is an absent optional (skipped/omitted node output with no default)')
    return str(value)
