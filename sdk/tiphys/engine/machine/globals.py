"""The ``workflow.*`` variables and the workflow's own outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from tiphys.argo.any_string import any_string
from tiphys.argo.time import rfc3339
from tiphys.engine.machine.parts import Shared
from tiphys.expr import gojson
from tiphys.expr.gotime import STRFTIME_KEYS, strftime
from tiphys.expr.tags import Plan, compile_plan, substitute

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ObjectMeta
    from tiphys.argo.types import Artifact, Node, Outputs, Parameter


__all__ = ["Globals"]

T = TypeVar("T")


class Globals:
    """``values``: flat, by dotted name, for :class:`tiphys.expr.tags.Layers`; ``outputs``: the workflow's.

    ``moving`` are those that change while the workflow runs: a Steps or DAG template reads them anew for every step.
    """

    def __init__(self, state: Shared, metadata: ObjectMeta) -> None:
        self.state = state
        self.values: dict[str, object] = {}
        self.moving: dict[str, str] = {
            "workflow.duration": "0.000000",
            "workflow.status": "",  # while the controller is at the workflow for the first time
            "workflow.failures": "",
        }
        self.outputs: Outputs = {}
        self._parameters: list[Parameter] = []
        self._plan: Plan | None = None  # where they hold tags
        self._places: dict[tuple[str, str], int] = {}  # of an output among those of its kind
        self._fill(metadata)

    def _fill(self, metadata: ObjectMeta) -> None:
        state, spec, values = self.state, self.state.spec, self.values
        values["workflow.name"] = state.name
        values["workflow.namespace"] = state.namespace
        values["workflow.uid"] = state.uid
        values["workflow.mainEntrypoint"] = str(spec.get("entrypoint") or "")
        values["workflow.serviceAccountName"] = str(spec.get("serviceAccountName") or "default")
        if spec.get("priority") is not None:
            values["workflow.priority"] = str(spec["priority"])
        created = state.created
        values["workflow.creationTimestamp"] = rfc3339(created)
        for key in STRFTIME_KEYS:
            values[f"workflow.creationTimestamp.{key}"] = strftime(int(created), key)
        values["workflow.creationTimestamp.s"] = str(int(created))
        values["workflow.creationTimestamp.RFC3339"] = rfc3339(created)
        self.set_metadata("labels", metadata.get("labels") or {})
        self.set_metadata("annotations", metadata.get("annotations") or {})
        scheduled = (metadata.get("annotations") or {}).get("workflows.argoproj.io/scheduled-time")
        if scheduled:
            values["workflow.scheduledTime"] = scheduled

    def set_metadata(self, kind: str, found: Mapping[str, object]) -> None:
        """Offer labels or annotations, and no others any more."""
        for name in [each for each in self.values if each.startswith(f"workflow.{kind}.")]:
            del self.values[name]
        for name, value in found.items():
            self.values[f"workflow.{kind}.{name}"] = any_string(value)
        text = gojson.marshal(dict(found))
        self.values[f"workflow.{kind}"] = text
        self.values[f"workflow.{kind}.json"] = text

    def set_parameters(self, parameters: list[Parameter]) -> None:
        """Offer the workflow's arguments."""
        self._parameters, self._plan = parameters, compile_plan(parameters)
        text = gojson.marshal(parameters, sort=False)
        self.values["workflow.parameters"] = text
        self.values["workflow.parameters.json"] = text
        for item in parameters:
            if item.get("value") is not None:
                self.values[f"workflow.parameters.{item['name']}"] = any_string(item["value"])

    def expand(self) -> None:
        """Fill the tags of the workflow's arguments once more, as each visit of the controller does.

        It writes what it filled into the workflow, but not into one that comes from a WorkflowTemplate.
        """
        if self._plan is None or self.state.spec.get("workflowTemplateRef"):
            return
        known = self.state.base
        self.set_parameters(self._plan.render(self._parameters, lambda text: substitute(text, known)))
        self.changed()

    def export(self, node: Node) -> None:
        """Take over the outputs of a node that have a ``globalName``."""
        outputs = node.get("outputs")
        if not outputs:
            return
        for item in outputs.get("parameters") or ():
            if item.get("globalName") and item.get("value") is not None:
                value = any_string(item["value"])
                self.values[f"workflow.outputs.parameters.{item['globalName']}"] = value
                self._put_parameter({"name": item["globalName"], "value": value})
        for made in outputs.get("artifacts") or ():
            if made.get("globalName"):
                artifact: Artifact = {**made, "name": made["globalName"]}
                artifact.pop("globalName")
                artifact.pop("path", None)
                self.values[f"workflow.outputs.artifacts.{made['globalName']}"] = artifact
                self._put_artifact(artifact)

    def adopt(self, outputs: Outputs) -> None:
        """Take over the workflow's outputs of an earlier run."""
        for item in outputs.get("parameters") or ():
            self.values[f"workflow.outputs.parameters.{item['name']}"] = any_string(item.get("value"))
            self._put_parameter(item.copy())
        for artifact in outputs.get("artifacts") or ():
            self.values[f"workflow.outputs.artifacts.{artifact['name']}"] = artifact.copy()
            self._put_artifact(artifact.copy())

    def _put_parameter(self, item: Parameter) -> None:
        self._put(self.outputs.setdefault("parameters", []), item, ("parameters", item["name"]))

    def _put_artifact(self, item: Artifact) -> None:
        self._put(self.outputs.setdefault("artifacts", []), item, ("artifacts", item["name"]))

    def _put(self, known: list[T], item: T, name: tuple[str, str]) -> None:
        self.changed()
        # items are only added and replaced, so each keeps its place
        place = self._places.setdefault(name, len(known))
        known[place : place + 1] = [item]

    def changed(self) -> None:
        """Values were set: nested forms are stale."""
        self.state.base.refresh()

    def tick(self) -> None:
        """Bring ``workflow.duration`` up to date."""
        self.moving["workflow.duration"] = f"{max(self.state.now - self.state.started, 0.0):f}"
        self.changed()
