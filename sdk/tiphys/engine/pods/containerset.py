"""The containers of one containerSet: dependencies, retries and exit codes as the executor has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from tiphys.engine.base.loop import Loop
from tiphys.engine.runners.base import StartProblem, exit_message
from tiphys.expr.durations import parse_loose

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ContainerSet, SetContainer, SetRetry

    Launch: TypeAlias = Callable[[SetContainer, Callable[[int], None]], None]


__all__ = ["ContainerGraph"]


class ContainerGraph:
    """Starts each container when all its dependencies have ended with 0; ``done`` is called when all have ended.

    ``retryStrategy.retries: N`` means N runs in all (the executor's off-by-one; 0 runs nothing and succeeds). A
    failed dependency makes its dependants end with 64.
    """

    def __init__(
        self, loop: Loop, container_set: ContainerSet, launch: Launch, done: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._specs = {str(spec["name"]): spec for spec in container_set.get("containers") or []}
        self._launch = launch
        self._done = done
        retry: SetRetry = container_set.get("retryStrategy") or {}
        retries = retry.get("retries")
        self._runs = None if retries is None else int(retries)
        self._pause = _seconds(retry.get("duration"))
        self._started: set[str] = set()
        self._tries: dict[str, int] = {}
        self.codes: dict[str, int] = {}
        self.messages: dict[str, str] = {}
        self._refused: dict[str, str] = {}  # why a container never ran
        self._causes: dict[str, int] = {}  # the code that began it
        self._reported = False
        self._lost = False
        self._unstarted: list[str] = []

    @property
    def names(self) -> list[str]:
        return list(self._specs)

    @property
    def exit_code(self) -> int:
        """The pod's code: that of the first container that failed."""
        return next((code for code in self.codes.values() if code), 0)

    def start(self) -> None:
        self._advance()

    def lost(self, name: str, message: str) -> None:
        """A container is about to be killed together with its executor (out of memory): it is not run again, and
        what waits for it ends with 143. Recorded from the real controller."""
        self._lost = True
        self.messages[name] = message
        for each in self._specs:
            if each not in self._started:
                self._started.add(each)
                self._unstarted.append(each)

    def report(self) -> dict[str, dict[str, str]]:
        """For ``PodFinished.containers``."""
        return {
            name: {
                "phase": "Error"
                if name in self._refused
                else "Failed"
                if self.codes.get(name)
                else "Succeeded",
                "message": f"{self.messages.get(name) or exit_message(name, code)}: {self._refused.get(name, '')}"
                if (code := self.codes.get(name, 0))
                else "",
                "exitCode": str(self.codes.get(name, 0)),
            }
            for name in self._specs
        }

    def _advance(self) -> None:
        moved = True
        while moved:
            moved = False
            for name, spec in self._specs.items():
                if name in self._started:
                    continue
                needs = [str(each) for each in spec.get("dependencies") or []]
                failed = next((each for each in needs if self.codes.get(each)), None)
                if failed is not None:
                    self._started.add(name)
                    code = self._causes[name] = self._causes.get(failed, self.codes[failed])
                    self._refused[name] = f'dependency "{failed}" exited with non-zero code: {code}'
                    self._ended(name, 64)
                    self.messages[name] = exit_message(name, 64)
                    moved = True
                elif all(each in self.codes for each in needs):
                    self._started.add(name)
                    self._run(name)
                    moved = True
        if len(self.codes) == len(self._specs) and not self._reported:
            self._reported = True
            self._done()

    def _run(self, name: str) -> None:
        if self._runs == 0:
            self._ended(name, 0)
            return
        self._tries[name] = self._tries.get(name, 0) + 1

        def ended(code: int) -> None:
            if code and not self._lost and self._runs is not None and self._tries[name] < self._runs:
                self._loop.call_later(self._pause, lambda: self._run(name))
                return
            self._ended(name, code)
            while self._unstarted:
                self._ended(self._unstarted.pop(0), 143)
            self._advance()

        try:
            self._launch(self._specs[name], ended)
        except StartProblem as problem:
            if problem.code is None:
                raise
            self.messages[name] = problem.message
            self._ended(name, problem.code)

    def _ended(self, name: str, code: int) -> None:
        self.codes[name] = code


def _seconds(text: str | None) -> float:
    return parse_loose(str(text)) if text else 0.0
