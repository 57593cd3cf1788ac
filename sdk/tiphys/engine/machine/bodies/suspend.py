"""Suspend templates: wait for a time, for ``resume``, or for values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tiphys.argo.any_string import any_string
from tiphys.engine.machine.bodies.body import Body
from tiphys.expr.durations import parse_named

if TYPE_CHECKING:
    from tiphys.argo.types import Parameter


__all__ = ["SuspendBody"]


class SuspendBody(Body):
    """A node that waits."""

    __slots__ = ("outputs",)
    memoized = False

    def start(self) -> None:
        state = self.run.state
        self.begin("Suspend", "Running")
        outputs: list[Parameter] = (self.template.get("outputs") or {}).get("parameters") or []
        if outputs:
            self.node["outputs"] = {"parameters": [item.copy() for item in outputs]}
        duration = (self.template.get("suspend") or {}).get("duration")
        state.suspends[self.node["id"]] = self
        if duration:
            try:
                seconds = parse_named(any_string(duration))
            except ValueError as error:
                state.suspends.pop(self.node["id"], None)
                self.run.fail(str(error))
                return
            if seconds <= 0:
                state.defer(self._elapsed)
                return
            state.timer(
                state.nodes.started[self.node["id"]] + seconds, f"suspend/{self.node['id']}", self._elapsed
            )
        self.run.owner.run_changed(self.run)

    def _elapsed(self) -> None:
        if self.node["phase"] == "Running" and not self.run.state.suspended:
            self.resume()

    def resume(self) -> None:
        """End the wait: outputs without a value take their defaults."""
        problem = self._defaults()
        if problem:
            self.run.state.suspends.pop(self.node["id"], None)
            self.run.fail_body(self, problem)
        else:
            self._end("Succeeded", None)

    def _defaults(self) -> str:
        for item in (self.node.get("outputs") or {}).get("parameters") or ():
            if item.get("value") is not None:
                continue
            default = (item.get("valueFrom") or {}).get("default")
            if default is None:
                default = self._input(item["name"])
            if default is None:
                return f"raw output parameter '{item['name']}' has not been set and does not have a default value"
            item["value"] = any_string(default)
            item.pop("valueFrom", None)
        return ""

    def _input(self, name: str) -> str | None:
        """Return the value of the input that feeds an output of the same name in the UI."""
        for item in (self.template.get("inputs") or {}).get("parameters") or ():
            if item["name"] == name:
                return item.get("value")
        return None

    def set(self, phase: str, message: str, values: Mapping[str, str]) -> None:
        """Take over what ``argo node set`` gives."""
        state = self.run.state
        for item in (self.node.get("outputs") or {}).get("parameters") or ():
            if item["name"] in values and (item.get("valueFrom") or {}).get("supplied") is not None:
                item["value"] = values[item["name"]]
                item.pop("valueFrom", None)
        if message:
            self.node["message"] = message
        state.nodes.touch(self.node)
        if phase:
            self._end(phase, None)

    def _end(self, phase: str, message: str | None) -> None:
        self.run.state.suspends.pop(self.node["id"], None)
        self.run.complete(self, phase, self.node.get("message", "") if message is None else message)

    def stop(self, phase: str, message: str) -> None:
        """End the wait without its outputs."""
        if self.node["phase"] == "Running":
            self._end(phase, message)
