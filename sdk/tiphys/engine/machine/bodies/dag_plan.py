"""What can be said of a DAG template before it runs: who depends on whom, targets, ancestors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tiphys.engine.machine.bodies.loops import is_loop
from tiphys.expr.depends import Depends, parse_depends

if TYPE_CHECKING:
    from tiphys.argo.types import ContinueOn, DAGTask, DAGTemplate


__all__ = ["DagPlan"]


class DagPlan:
    """The tasks of a DAG and their order.

    Attributes
    ----------
    tasks:
        Name to task.
    needs:
        Name to the tasks its ``depends`` names.
    wanted_by:
        The reverse.
    targets:
        The tasks the DAG ends with.
    order:
        The tasks that targets need, dependencies before dependants.
    """

    def __init__(self, dag: DAGTemplate) -> None:
        self.tasks: dict[str, DAGTask] = {str(task["name"]): task for task in dag.get("tasks") or ()}
        self.depends: dict[str, Depends | None] = {}
        self.needs: dict[str, tuple[str, ...]] = {}
        self.wanted_by: dict[str, list[str]] = {name: [] for name in self.tasks}
        for name, task in self.tasks.items():
            logic = self._logic(task)
            self.depends[name] = logic
            self.needs[name] = logic.tasks if logic else ()
        for name, needs in self.needs.items():
            for need in needs:
                if need in self.wanted_by:
                    self.wanted_by[need].append(name)
        self.targets = self._targets(dag)
        self.order = self._order()
        self._place = {name: index for index, name in enumerate(self.tasks)}
        # the places of those before a task, as bits; made when they are asked for
        self._above: dict[str, int] = {}
        self.loops = [name for name, task in self.tasks.items() if is_loop(task)]

    def _logic(self, task: DAGTask) -> Depends | None:
        text = task.get("depends")
        if not text:
            names = task.get("dependencies") or ()
            if not names:
                return None
            text = " && ".join(names)
        return parse_depends(text, self._continues)

    def _continues(self, name: str) -> tuple[bool, bool]:
        task = self.tasks.get(name)
        rule: ContinueOn = (task.get("continueOn") or {}) if task is not None else {}
        return bool(rule.get("error")), bool(rule.get("failed"))

    def _targets(self, dag: DAGTemplate) -> list[str]:
        if dag.get("target"):
            return str(dag["target"]).split()
        return sorted(name for name, wanted in self.wanted_by.items() if not wanted)

    def _order(self) -> list[str]:
        seen: set[str] = set()
        order: list[str] = []
        for target in self.targets:
            stack: list[tuple[str, bool]] = [(target, False)]
            while stack:
                name, expanded = stack.pop()
                if expanded:
                    order.append(name)
                    continue
                if name in seen or name not in self.tasks:
                    continue
                seen.add(name)
                stack.append((name, True))
                stack.extend((need, False) for need in reversed(self.needs[name]))
        return order

    def is_above(self, name: str, task: str) -> bool:
        """Return whether ``task`` comes after ``name``."""
        if name in self.needs.get(task, ()):
            return name in self.tasks
        return bool(self._ancestors(task) & self._bit(name))

    def above(self, task: str) -> Iterable[str]:
        """Return the tasks that come before ``task``."""
        bits = self._ancestors(task)
        return [name for name, bit in zip(self.tasks, f"{bits:b}"[::-1], strict=False) if bit == "1"]

    def _bit(self, name: str) -> int:
        place = self._place.get(name)
        return 0 if place is None else 1 << place

    def _ancestors(self, task: str) -> int:
        if not self._above:
            for name in self.order:
                bits = 0
                for need in self.needs[name]:
                    bits |= self._above.get(need, 0) | self._bit(need)
                self._above[name] = bits
        return self._above.get(task, 0)
