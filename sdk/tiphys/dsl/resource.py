"""Any Kubernetes object as a step: create or apply it, wait for a condition, read outputs from it.

A manifest is emitted as JSON, so that no YAML reader gives a value another type, and every input enters it
through ``{{=toJson(x)[1:-1]}}`` inside a JSON string, so that no value can change the manifest's shape.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tiphys.argo.display import DISPLAY_NAME
from tiphys.compiler.line import caller
from tiphys.dsl.context import CallableTemplate
from tiphys.dsl.locks import Lock, synchronization
from tiphys.dsl.names import check_title
from tiphys.dsl.pod import Defaults, executor_patch
from tiphys.dsl.retry import Retry
from tiphys.dsl.template import input_parameters
from tiphys.dsl.types import MISSING, Field, fields_of, kebab
from tiphys.dsl.values import Input, Value
from tiphys.errors import DefinitionError, did_you_mean

__all__ = ["Action", "Resource", "WholeNumber", "manifest_text", "splice"]

Action = Literal["get", "create", "apply", "delete", "replace", "patch"]
# a list of numbers, one a line; there are no line ends inside a JSON string
_NUMBERS = re.compile(r"\[\n\s*(\d+(?:,\n\s*\d+)*)\n\s*\]")
_BARE = "\ue000"  # around what loses its quotes: no manifest has it
_ACTIONS = ("get", "create", "apply", "delete", "replace", "patch")


def splice(value: Value | str) -> str:
    """Text for the inside of a JSON string: an input's value, escaped by the controller."""
    if isinstance(value, Value):
        return "{{=toJson(" + value.expr() + ")[1:-1]}}"
    return value


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """An input that enters a manifest as a number: the API server takes no text where a kind has one."""

    value: Value


class _Encoder(json.JSONEncoder):
    def default(self, o: Any) -> Any:
        if isinstance(o, WholeNumber):
            return _BARE + "{{=asInt(" + o.value.expr() + ")}}" + _BARE
        if isinstance(o, Value):
            return splice(o)
        return super().default(o)


def manifest_text(manifest: Mapping[str, Any]) -> str:
    """A manifest as readable JSON; value objects in it become splices."""
    text = json.dumps(manifest, cls=_Encoder, indent=2, ensure_ascii=False)
    text = text.replace(f'"{_BARE}', "").replace(f'{_BARE}"', "")
    return _NUMBERS.sub(lambda found: "[" + " ".join(found[1].split()) + "]", text)


class Resource(CallableTemplate):
    """A Kubernetes object as a step.

    ``manifest`` is a mapping; where an input belongs put ``Resource.input("name")``, or make text with it
    through ``splice``. ``inputs`` maps names to types. ``outputs`` maps names to JSON paths
    (``"{.status.phase}"``). ``success`` and ``failure`` are Argo's conditions: label-selector syntax over the
    object; all clauses of ``success`` must match, any clause of ``failure``.
    """

    def __init__(
        self,
        name: str,
        manifest: Mapping[str, Any] | None = None,
        *,
        action: Action = "apply",
        inputs: Mapping[str, Any] | None = None,
        outputs: Mapping[str, str] | None = None,
        output_defaults: Mapping[str, str] | None = None,
        success: Sequence[str] = (),
        failure: Sequence[str] = (),
        flags: Sequence[str] = (),
        owned: bool = True,
        locks: Sequence[Lock] = (),
        retry: Retry | None = None,
        title: str = "",
    ) -> None:
        site = caller()
        fields = fields_of(inputs or {}, f"the input of {name}", site)
        defaults = output_defaults or {}
        results = [
            Field(k.replace("-", "_"), kebab(k), str, defaults.get(k, MISSING)) for k in (outputs or {})
        ]
        super().__init__(name, fields, results, locks=locks, site=site)
        if action not in _ACTIONS:
            raise DefinitionError(
                "TIP105",
                f"{name}: the action {action!r} does not exist.{did_you_mean(action, _ACTIONS)}",
                where=str(site),
                fix=f"actions are: {', '.join(_ACTIONS)}",
            )
        if action == "delete" and (success or failure or outputs):
            raise DefinitionError(
                "TIP105",
                f"{name}: a deletion has no conditions and no outputs",
                where=str(site),
                fix="leave success, failure and outputs out",
            )
        if manifest is None and not flags:
            raise DefinitionError(
                "TIP104", f"{name} has neither a manifest nor flags", where=str(site), fix="pass manifest={…}"
            )
        self.manifest = manifest
        self.action = action
        self.paths = {kebab(k): v for k, v in (outputs or {}).items()}
        self.success, self.failure = tuple(success), tuple(failure)
        self.flags = tuple(flags)
        self.owned = owned
        self.retry = retry
        self.title = check_title(title, site) if title else ""

    @staticmethod
    def input(name: str, kind: Any = str) -> Input:
        """Where an input enters the manifest."""
        return Input(kebab(name), kind)

    def object(self, defaults: Defaults) -> Mapping[str, Any] | None:
        """The manifest with what it takes from the pipeline."""
        return self.manifest

    def body(self, defaults: Defaults) -> dict[str, Any]:
        template: dict[str, Any] = {"name": self.name}
        if self.title:
            template["annotations"] = {DISPLAY_NAME: self.title}
        if self.inputs:
            template["inputs"] = {"parameters": input_parameters(self.inputs, self.site)}
        locks = synchronization(self.locks, self.mutex_names())
        if locks:
            template["synchronization"] = locks
        if self.retry is not None:
            template["retryStrategy"] = self.retry.strategy()
        resource: dict[str, Any] = {"action": self.action}
        manifest = self.object(defaults)
        if self.flags:
            resource["flags"] = list(self.flags)
        if manifest is not None:
            if self.owned and self.action in ("create", "apply"):
                resource["setOwnerReference"] = True
            resource["manifest"] = manifest_text(manifest)
        if self.success:
            resource["successCondition"] = ",".join(self.success)
        if self.failure:
            resource["failureCondition"] = ",".join(self.failure)
        template["resource"] = resource
        template["podSpecPatch"] = executor_patch(resource=True)
        if self.paths:
            template["outputs"] = {
                "parameters": [
                    {
                        "name": f.name,
                        "valueFrom": {
                            "jsonPath": self.paths[f.name],
                            **({} if f.default is MISSING else {"default": str(f.default)}),
                        },
                    }
                    for f in self.outputs
                ]
            }
        return template

    def mutex_names(self) -> list[str]:
        """Mutexes whose names are expressions."""
        return []


def claim_of(uri: str) -> str:
    """``tiphys`` of ``pvc://tiphys/models``."""
    return uri.removeprefix("pvc://").split("/")[0]
