"""Arguments into inputs, and inputs into the text of a template (Argo's ProcessArgs and SubstituteParams)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tiphys.argo.any_string import any_string
from tiphys.argo.artifacts import location_of
from tiphys.engine.machine.library import Compiled
from tiphys.expr import gojson
from tiphys.expr.tags import Chain, Layers, Variables, compile_plan, substitute

if TYPE_CHECKING:
    from tiphys.argo.pod_types import KeySelector
    from tiphys.argo.types import Arguments, Artifact, Parameter, Template, ValueFrom


__all__ = [
    "ABSENT",
    "ArgumentError",
    "filled",
    "input_parameters",
    "input_values",
    "looked_up",
    "process_arguments",
    "substitute_pod",
    "substitute_template",
]

ABSENT = "__argo-internal.absent-optional-output__"


class ArgumentError(Exception):
    """An input has no value, or cannot be computed; the text is Argo's."""


def process_arguments(
    compiled: Compiled,
    arguments: Arguments,
    variables: Variables,
    config_map_value: Callable[[KeySelector], str | None],
    *,
    body: Variables | None = None,
    strict_values: bool = False,
) -> Template:
    """Return the template with its inputs decided and all known tags replaced (by ``body`` outside of the inputs); with
    ``strict_values`` no value brings a tag.

    Raises
    ------
    ArgumentError
        An input has no value.
    """
    template = compiled.template
    inputs = template.get("inputs") or {}
    decided: Arguments = {}
    if inputs.get("parameters"):
        given = {item.get("name"): item for item in arguments.get("parameters") or ()}
        decided["parameters"] = [
            _parameter(item, given.get(item.get("name")), variables, config_map_value)
            for item in inputs["parameters"]
        ]
    if inputs.get("artifacts"):
        places = {item.get("name"): item for item in arguments.get("artifacts") or ()}
        decided["artifacts"] = [_artifact(item, places.get(item.get("name"))) for item in inputs["artifacts"]]
    return substitute_template(compiled, decided, variables, body=body, strict_values=strict_values)


def without_absent(arguments: Arguments, scope: Variables, family: str) -> Arguments:
    """Mark parameters that are nothing but the absent output of a skipped node: the default of what is called holds.

    ``family``: ``steps`` or ``tasks``.
    """
    parameters = arguments.get("parameters") or ()
    absent = [_is_absent(item.get("value"), scope, family) for item in parameters]
    if not any(absent):
        return arguments
    marked: list[Parameter] = [
        {**item, "value": ABSENT} if gone else item for item, gone in zip(parameters, absent, strict=True)
    ]
    return {**arguments, "parameters": marked}


def _is_absent(value: object, scope: Variables, family: str) -> bool:
    if not isinstance(value, str) or not value.startswith("{{") or not value.endswith("}}"):
        return False
    name = value[2:-2].strip()
    return name.startswith(family + ".") and "{" not in name and scope.find(name) is None


def _parameter(
    declared: Parameter,
    given: Parameter | None,
    variables: Variables,
    config_map_value: Callable[[KeySelector], str | None],
) -> Parameter:
    name = declared.get("name")
    result = declared.copy()
    value = declared.get("value")
    if value is None:
        value = declared.get("default")
    if given is not None:
        if given.get("value") == ABSENT:
            if declared.get("value") is None and declared.get("default") is None:
                raise ArgumentError(
                    f"inputs.parameters.{name}: argument references an absent optional "
                    "(skipped/omitted node output with no default)"
                )
        else:
            value = given.get("value")
            result.pop("valueFrom", None)
            if value is None and given.get("valueFrom") is not None:
                result["valueFrom"] = given["valueFrom"]
    source: ValueFrom = result.get("valueFrom") or {}
    if source.get("configMapKeyRef"):
        try:
            value = looked_up(filled(source["configMapKeyRef"], variables), source, config_map_value)
        except ArgumentError as error:
            raise ArgumentError(
                f"unable to retrieve inputs.parameters.{name} from ConfigMap: {error}"
            ) from None
        result.pop("valueFrom", None)
    if value is None:
        raise ArgumentError(f"inputs.parameters.{name} was not supplied")
    result["value"] = any_string(value)
    return result


def filled(reference: KeySelector, variables: Variables) -> KeySelector:
    """Return what names a ConfigMap and its key with the tags replaced."""
    plan = compile_plan(reference)
    return reference if plan is None else plan.render(reference, lambda text: substitute(text, variables))


def looked_up(
    reference: KeySelector,
    source: ValueFrom,
    config_map_value: Callable[[KeySelector], str | None],
) -> str:
    """Return the value that a ``configMapKeyRef`` means, or the ``default`` beside it.

    Raises
    ------
    ArgumentError
        There is no such map or key, and no default.
    """
    try:
        found = config_map_value(reference)
        if found is None:
            raise ArgumentError(_no_config_map(reference))
    except ArgumentError:
        if source.get("default") is None:
            raise
        return any_string(source["default"])
    return found


def _no_config_map(reference: KeySelector) -> str:
    return (
        f"ConfigMap '{reference.get('name')}' does not exist. Please make sure it has the label "
        "workflows.argoproj.io/configmap-type: Parameter to be detectable by the controller"
    )


def has_location(artifact: Artifact) -> bool:
    """Return whether the artifact says where its content is."""
    return location_of(artifact) is not None


def _artifact(declared: Artifact, given: Artifact | None) -> Artifact:
    name = declared.get("name")
    if has_location(declared) and given is None:
        return declared.copy()
    if not declared.get("optional"):
        if given is None:
            raise ArgumentError(f"inputs.artifacts.{name} was not supplied")
        if not has_location(given) and not given.get("from") and not given.get("fromExpression"):
            raise ArgumentError(f"inputs.artifacts.{name} missing location information")
    if given is None:
        return declared.copy()
    result = given.copy()
    result.pop("from", None)
    result.pop("fromExpression", None)
    result.pop("path", None)
    result.pop("mode", None)
    result.pop("recurseMode", None)
    if declared.get("path") is not None:
        result["path"] = declared["path"]
    if declared.get("mode") is not None:
        result["mode"] = declared["mode"]
    if declared.get("recurseMode") is not None:
        result["recurseMode"] = declared["recurseMode"]
    if declared.get("optional"):
        result["optional"] = True
    return result


_FIELDS = ("name", "default", "value", "valueFrom", "globalName", "enum", "description")


def _as_go_has_them(parameters: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    return [{key: item[key] for key in _FIELDS if key in item} for item in parameters]


def input_values(template: Template) -> dict[str, str]:
    """Return the ``inputs.*`` and ``outputs.*`` variables that a template's own text may use."""
    values = input_parameters(template)
    inputs = template.get("inputs") or {}
    parameters = inputs.get("parameters") or ()
    # a list that is not there is null in Go's JSON
    values["inputs.parameters"] = (
        gojson.marshal(_as_go_has_them(parameters), sort=False) if parameters else "null"
    )
    for item in inputs.get("artifacts") or ():
        if item.get("path"):
            values[f"inputs.artifacts.{item['name']}.path"] = item["path"]
    outputs = template.get("outputs") or {}
    for item in outputs.get("artifacts") or ():
        if item.get("path"):
            values[f"outputs.artifacts.{item['name']}.path"] = item["path"]
    for parameter in outputs.get("parameters") or ():
        path = (parameter.get("valueFrom") or {}).get("path")
        if path:
            values[f"outputs.parameters.{parameter['name']}.path"] = path
    return values


def substitute_template(
    compiled: Compiled,
    inputs: Arguments,
    variables: Variables,
    *,
    body: Variables | None = None,
    strict_values: bool = False,
) -> Template:
    """Replace globals and locals first, then those again and what the inputs say: a value may hold a tag itself, unless
    ``strict_values``.
    """
    template = compiled.template.copy()
    plan = compile_plan(inputs) if inputs else None
    if plan is not None:
        inputs = plan.render(inputs, lambda value: substitute(value, variables))
    if inputs:
        template["inputs"] = inputs
    if compiled.plan is None and plan is None:
        return template
    outputs = template.get("outputs")
    outputs_plan = compile_plan(outputs) if outputs else None
    if outputs_plan is not None:
        # paths of outputs may use globals; what refers to them must see the replaced text
        outputs = outputs_plan.render(outputs, lambda value: substitute(value, variables))
    own = Layers(input_values({"inputs": inputs, "outputs": outputs or {}}))

    def twice(known: Variables) -> Callable[[str], str]:
        everything = Chain(own, known)

        def replace(value: str) -> str:
            first = substitute(value, known, literal=strict_values)
            return substitute(first, everything) if "{{" in first else first

        return replace

    if plan is not None:
        everything = Chain(own, variables)
        template["inputs"] = plan.render(inputs, lambda value: substitute(value, everything))
    if compiled.plan is None:
        return template
    return compiled.plan.render(template, twice(body or variables))


def substitute_pod(compiled: Compiled, template: Template, variables: Callable[[], Variables]) -> Template:
    """Return what the pod gets: tags that values brought along are replaced once more, by globals and inputs.

    Source: argo-workflows v4.1.2, workflow/controller/workflowpod.go (substitutePodParams).
    """
    if compiled.plan is None and compile_plan(template.get("inputs")) is None:
        return template  # it had no tags, and values come into it by them alone
    plan = compile_plan(template)
    if plan is None:
        return template
    known = variables()
    return plan.render(template, lambda value: substitute(value, known))


def input_parameters(template: Template) -> dict[str, str]:
    """Return the input parameters by the names that tags have for them."""
    return {
        f"inputs.parameters.{item['name']}": item["value"]
        for item in (template.get("inputs") or {}).get("parameters") or ()
        if item.get("value") is not None
    }
