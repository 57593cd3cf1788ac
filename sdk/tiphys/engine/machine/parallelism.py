"""``parallelism`` of the workflow and of Steps and DAG templates, and the templates' ``failFast``."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from tiphys.engine.machine.nodes import Limits
from tiphys.engine.machine.parts import ABody, ACall, Shared

if TYPE_CHECKING:
    from tiphys.argo.types import Template


__all__ = ["FAIL_FAST", "Turnstile"]

FAIL_FAST = "template has failed or errored children and failFast enabled"


class _Boundary:
    __slots__ = ("body", "closed", "fail_fast", "limit", "limits", "waiting")

    def __init__(self, body: ABody, limit: int | None, fail_fast: bool, limits: Limits) -> None:
        self.body = body
        self.limit = limit
        self.fail_fast = fail_fast
        self.limits = limits
        self.waiting: deque[ACall] = deque()
        self.closed = False


class Turnstile:
    """Holds runs back until there is room; first come, first served."""

    def __init__(self, state: Shared) -> None:
        self.state = state
        self.limit: int | None = None
        self.waiting: deque[Callable[[], None]] = deque()
        self._boundaries: dict[str, _Boundary] = {}

    def watch(self, body: ABody, template: Template) -> None:
        """Register a Steps or DAG body that has ``parallelism`` or ``failFast``."""
        limit = template.get("parallelism")
        fail_fast = bool(template.get("failFast"))
        if limit is None and not fail_fast:
            return
        limits = Limits()
        self.state.nodes.limits[body.node["id"]] = limits
        self._boundaries[body.node["id"]] = _Boundary(
            body, int(limit) if limit is not None else None, fail_fast, limits
        )

    def admit(self, run: ACall) -> bool:
        """Return whether ``run`` may create its node now; if not, it is called again (or never)."""
        if self.limit is not None and self.state.nodes.active_pods >= self.limit:
            self.waiting.append(run.enter)
            return False
        if run.boundary is None:
            return True
        boundary = self._boundaries.get(run.boundary["id"])
        if boundary is None:
            return True
        if boundary.closed or (boundary.fail_fast and boundary.limits.failed):
            self.state.nodes.dirty_limits[run.boundary["id"]] = None
            return False
        if boundary.limit is not None and run.node is None and boundary.limits.active >= boundary.limit:
            boundary.waiting.append(run)
            return False
        return True

    def admit_attempt(self, run: ACall, again: Callable[[], None]) -> bool:
        """Return whether an attempt may start; if not, ``again`` is called when there is room (or never)."""
        if run.boundary is not None and self.failed_fast(run.boundary["id"]):
            return False
        if self.limit is not None and self.state.nodes.active_pods >= self.limit:
            self.waiting.append(again)
            return False
        return True

    def settle(self) -> bool:
        """Close failed boundaries and let waiting runs in; return whether anything moved."""
        moved = False
        dirty, self.state.nodes.dirty_limits = self.state.nodes.dirty_limits, {}
        for identity in dirty:
            boundary = self._boundaries.get(identity)
            if boundary is None or boundary.body.node["phase"] not in ("Pending", "Running"):
                continue
            if boundary.fail_fast and not boundary.closed and boundary.limits.failed:
                boundary.closed = True
                boundary.waiting.clear()
            if boundary.closed:
                if boundary.limits.pods == 0:
                    boundary.body.stop("Failed", FAIL_FAST)
                    moved = True
                continue
            moved = self._let_in(boundary) or moved
        if self.waiting and (self.limit is None or self.state.nodes.active_pods < self.limit):
            self.state.defer(self.waiting.popleft())
            moved = True
        return moved

    def _let_in(self, boundary: _Boundary) -> bool:
        if not boundary.waiting or (boundary.limit is not None and boundary.limits.active >= boundary.limit):
            return False
        run = boundary.waiting.popleft()
        self.state.defer(run.enter)
        self.state.nodes.dirty_limits[boundary.body.node["id"]] = None
        return True

    def failed_fast(self, identity: str) -> bool:
        """Return whether the boundary must not be judged by its children: ``failFast`` ends it, now or soon."""
        boundary = self._boundaries.get(identity)
        if boundary is None or not boundary.fail_fast or not boundary.limits.failed_pods:
            return False
        self.state.nodes.dirty_limits[identity] = None
        return True

    def forget(self, identity: str) -> None:
        """The boundary ended."""
        self._boundaries.pop(identity, None)
        self.state.nodes.limits.pop(identity, None)
