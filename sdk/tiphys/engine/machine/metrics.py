"""When a workflow's and its templates' metrics are taken, and with which variables.

A template's metrics are taken when a node of it has ended (a Retry node, and each of its attempts that is followed by
another), not for a node that was skipped, taken from a cache or could not be executed; realtime gauges also when the
node is made. Those of the workflow are taken at its end. An error is a condition of the workflow, never a failure.
Sources: Argo 4.1.2, workflow/controller (computeMetrics, prepareMetricScope) and recordings of the real controller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tiphys.argo.any_string import any_string
from tiphys.engine.machine.counters import Counters, MetricError
from tiphys.engine.machine.globals import Globals
from tiphys.engine.machine.parts import ACall, Shared
from tiphys.expr.govaluate import WhenError, evaluate_when
from tiphys.expr.tags import Layers, TagError, compile_plan, substitute

if TYPE_CHECKING:
    from tiphys.argo.pod_types import MetricSpec, MetricsSpec
    from tiphys.argo.types import Condition, Node


__all__ = ["Metrics"]


class _State(Shared, Protocol):
    globals: Globals


class Metrics:
    """The metrics of one workflow; ``errors`` become its condition MetricsError."""

    def __init__(self, state: _State) -> None:
        self.registry = Counters()
        self.errors: list[str] = []
        self._state = state

    def take_run(self, run: ACall, *, made: bool = False) -> None:
        """Take what the template of a run declares, at its end, or when its node is ``made``."""
        if declared := run.template.get("metrics"):
            retries = None if run.retrying is None or made else len(run.retrying.attempts) - 1
            self.take(declared, run.node, retries=retries, realtime=made)

    def take(
        self,
        declared: MetricsSpec | None,
        node: Node | None,
        *,
        retries: int | None = None,
        realtime: bool = False,
    ) -> None:
        """Take what a template or the workflow (``node``: its entry node) declares. ``realtime``: only such gauges."""
        if not declared:
            return
        state = self._state
        scope = Layers(
            self._scope(node, retries) if node is not None else {}, state.globals.moving, state.globals.values
        )
        for metric in declared.get("prometheus") or ():
            is_live = bool((metric.get("gauge") or {}).get("realtime"))
            if is_live or not realtime:
                self._one(metric, scope, node if is_live else None)

    def condition(self) -> Condition | None:
        """The workflow's condition, when there were errors."""
        if not self.errors:
            return None
        return {"type": "MetricsError", "status": "True", "message": ", ".join(self.errors)}

    # -- inside ------------------------------------------------------------------------------------------------

    def _one(self, metric: MetricSpec, scope: Layers, live: Node | None) -> None:
        name = metric.get("name")
        kinds: MetricSpec = {}
        rest = metric.copy()
        if rest.pop("gauge", None) is not None:
            kinds["gauge"] = metric["gauge"]
        if rest.pop("histogram", None) is not None:
            kinds["histogram"] = metric["histogram"]
        if rest.pop("counter", None) is not None:
            kinds["counter"] = metric["counter"]
        try:
            shown = _substituted(rest, scope)
        except TagError as error:
            self.errors.append(f"unable to substitute parameters for metric '{name}': {error}")
            return
        try:
            if not evaluate_when(str(shown.get("when") or "")):
                return
        except WhenError as error:  # Argo names the workflow here
            self.errors.append(f"unable to compute 'when' clause for metric '{self._state.name}': {error}")
            return
        value = str((kinds.get("gauge") or {}).get("value") or "")
        if live is not None and not (value.startswith("{{") and value.endswith("}}")):
            self.errors.append("real time metrics can only be used with metric variables")
            return
        if live is not None and value[2:-2].strip() in ("workflow.duration", "duration"):
            workflow = value[2:-2].strip() == "workflow.duration"
            self._observe({**shown, **kinds}, name, live, workflow)
            return
        try:
            given = _substituted(kinds, scope)
        except TagError as error:
            self.errors.append(f"unable to substitute parameters for metric '{name}': {error}")
            return
        self._observe({**shown, **given}, name)

    def _observe(
        self, metric: MetricSpec, name: str | None, live: Node | None = None, workflow: bool = False
    ) -> None:
        state = self._state

        def seconds() -> float:
            if workflow:
                return state.now - state.started
            assert live is not None
            return state.nodes.duration(live)

        try:
            self.registry.observe(metric, None if live is None else seconds)
        except MetricError as error:
            self.errors.append(f"could not construct metric '{name}': {error}")

    def _scope(self, node: Node, retries: int | None) -> dict[str, str]:
        """The variables of a node that has ended, or just been made."""
        nodes = self._state.nodes
        found = {"status": str(node["phase"]), "duration": f"{int(nodes.duration(node)):f}"}
        if retries is not None:
            found["retries"] = str(retries)
        for name, units in {"cpu": 0, "memory": 0, **(node.get("resourcesDuration") or {})}.items():
            found[f"resourcesDuration.{name}"] = str(units)
        for item in (node.get("inputs") or {}).get("parameters") or ():
            if item.get("value") is not None:
                found[f"inputs.parameters.{item['name']}"] = any_string(item["value"])
        outputs = node.get("outputs") or {}
        if outputs.get("exitCode") is not None:
            found["exitCode"] = outputs["exitCode"]
        if outputs.get("result") is not None:
            found["outputs.result"] = outputs["result"]
        for item in outputs.get("parameters") or ():
            if item.get("value") is not None:
                found[f"outputs.parameters.{item['name']}"] = any_string(item["value"])
        return found


def _substituted(metric: MetricSpec, scope: Layers) -> MetricSpec:
    plan = compile_plan(metric)
    return metric if plan is None else plan.render(metric, lambda text: substitute(text, scope, strict=None))
