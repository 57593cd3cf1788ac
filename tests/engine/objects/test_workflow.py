"""The controller of a Workflow that a step made: when it begins, and how it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from tiphys.engine.base.loop import Loop
from tiphys.engine.objects.api import Api
from tiphys.engine.objects.workflow import WorkflowObject

Json = Any


class _Claimed:
    """A run whose folder is held, and that has not begun."""

    done = False

    def __init__(self) -> None:
        self.closed = False

    def begin(self, wake: Callable[[], None]) -> None:
        raise AssertionError("it was deleted before")

    def turn(self) -> None:
        """Nothing has begun."""

    def status(self) -> Mapping[str, Json]:
        return {}

    def terminate(self) -> None:
        """Nothing has begun."""

    def close(self) -> None:
        self.closed = True


def test_one_that_is_deleted_before_it_begins_lets_go_of_its_name() -> None:
    loop, run, gone = Loop(), _Claimed(), []
    try:
        made = WorkflowObject(loop, cast(Api, None), {}, lambda: None, lambda: run)
        assert made.claim()
        loop.call_soon(made.start)
        made.delete(lambda: gone.append("gone"))
        over: list[bool] = []
        loop.call_later(0.01, lambda: over.append(True))
        while not over:
            loop.step()
    finally:
        loop.close()
    assert (run.closed, gone) == (True, ["gone"])
