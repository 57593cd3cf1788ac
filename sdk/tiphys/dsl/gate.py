"""What stands before serving, as an author says it: budgets and comparisons that a model must pass."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, get_args

from tiphys.argo.quantity import whole_quantity
from tiphys.compiler.line import Site, caller
from tiphys.dsl.components import Component, component
from tiphys.dsl.durations import whole_seconds
from tiphys.dsl.literals import literal
from tiphys.dsl.resources import Resources
from tiphys.dsl.retry import Retry
from tiphys.dsl.values import Expression, Value
from tiphys.errors import DefinitionError
from tiphys.expr.durations import parse_go
from tiphys.numbers import finite
from tiphys.serving.gate.judge import judge
from tiphys.serving.gate.rules import GateRules

if TYPE_CHECKING:
    from tiphys.dsl.task import Task

__all__ = ["Gate"]

_WITHOUT_PYTHON = "tensorflow/serving:"


class Gate:
    """``serving.publish("first", …, gate=Gate(p99="20ms", memory="1Gi", golden=32))``: what is left out is not asked.

    Before the model is deployed a step loads it in a server of its own, in the image that serves, and asks what
    follows. ``tensorflow/serving`` has no Python: then it is the pipeline's image, whose server takes the same flags.

    ``load``: it answers within this time. ``inputs``, ``outputs``: the signature, as ``{"images": "uint8[?,28,28]"}``.
    ``p99``: 99 of 100 of ``requests`` requests need no longer, in the best of five rounds. ``memory``: the server never
    had more. ``golden``: so many predictions that the training wrote come out again within ``golden_tolerance``.
    ``no_worse_by``, ``per_class``: the test accuracy is not lower by more than that of what is ``served`` (its report;
    None, or empty when it runs: the first release), overall and in each class. ``data_age``: the data is not older; its
    ``data_time`` is ISO 8601. ``reports``: of the evaluations, one of which is that of the model.

    A refused model is no failure: its verdict has the reasons, what would publish it is skipped, and what is served
    goes on.
    """

    def __init__(
        self,
        *,
        no_worse_by: float | None = None,
        per_class: float | None = None,
        p99: str = "",
        memory: str = "",
        golden: int = 0,
        golden_tolerance: float = 1e-3,
        data_age: str | timedelta | None = None,
        inputs: Mapping[str, str] | None = None,
        outputs: Mapping[str, str] | None = None,
        load: str = "60s",
        requests: int = 100,
        reports: Sequence[object] | Value = (),
        served: Mapping[str, object] | Value | None = None,
        data_time: Value | str = "",
        image: str = "",
        resources: Resources | None = None,
    ) -> None:
        site = caller()
        for what, number, least in (
            ("no_worse_by", no_worse_by, 0.0),
            ("per_class", per_class, 0.0),
            ("golden", golden, 0),
            ("golden_tolerance", golden_tolerance, 0.0),
            ("requests", requests, 1),
        ):
            if number is not None and not finite(number) >= least:
                raise _refused(f"{what}={number!r}", f"give a number of at least {least:g}", site)
        if data_age is not None and isinstance(data_time, str) and not data_time:
            raise _refused(
                f"data_age={data_age!r} without data_time",
                "say how old the data is: data_time=looked.data_time, an output of components.expect",
                site,
            )
        if (
            (no_worse_by is not None or per_class is not None)
            and isinstance(reports, Sequence)
            and not reports
        ):
            raise _refused(
                "a comparison without reports",
                "give reports=[…], of the evaluations: one of them is that of the model",
                site,
            )
        self.rules = GateRules(
            load_seconds=_seconds(load, "load", site),
            p99_seconds=_seconds(p99, "p99", site) if p99 else 0.0,
            requests=requests,
            memory_bytes=_bytes(memory, site) if memory else 0,
            golden=golden,
            golden_tolerance=golden_tolerance,
            inputs=dict(inputs or {}),
            outputs=dict(outputs or {}),
            no_worse_by=no_worse_by,
            per_class=per_class,
            data_age_seconds=0 if data_age is None else whole_seconds(data_age, "data_age", site),
        )
        self._reports, self._served, self._data_time = reports, served, data_time
        self._image = image
        self._resources = resources or Resources(cpu="500m", memory="1Gi", cpu_limit="2", memory_limit="4Gi")

    def check(self, *, name: Value | str, model: Value | str | Task, serving_image: str = "") -> Task:
        """The task that judges ``model``: its outputs are ``passed``, ``reasons``, ``measurements`` and ``summary``."""
        of_serving = "" if serving_image.startswith(_WITHOUT_PYTHON) else serving_image
        task: Task = _step(self._image or of_serving, self._resources)(
            name=name,
            model=model,
            rules=self.rules,
            reports=list(self._reports)
            if isinstance(self._reports, Sequence)
            else _as_json(self._reports, "[]"),
            served={} if self._served is None else _as_json(self._served, "{}"),
            data_time=self._data_time,
        )
        return task


def _as_json(value: object, none: str) -> object:
    """A value that is declared as text, or as anything, for an input that reads JSON; empty text is ``none``."""
    inner = get_args(getattr(value, "type", None)) or (getattr(value, "type", None),)
    if not isinstance(value, Value) or not set(inner) & {str, object}:
        return value
    return Expression(lambda: f"({value.expr()} == '' ? {literal(none)} : {value.expr()})", (value,), Any)


@functools.cache
def _step(image: str, resources: Resources) -> Component:
    """One template for all gates that run in the same way."""
    return component(judge, name="gate", image=image, resources=resources, retry=Retry.on_infrastructure())


def _seconds(text: str, what: str, site: Site) -> float:
    try:
        seconds = parse_go(text)
    except (ValueError, TypeError, AttributeError):
        seconds = 0.0
    if seconds <= 0:
        raise _refused(f"{what}={text!r}", 'give a time above 0, such as "20ms" or "1.5s"', site)
    return seconds


def _bytes(text: str, site: Site) -> int:
    try:
        size = whole_quantity(text)
    except ValueError:
        size = 0
    if size <= 0:
        raise _refused(f"memory={text!r}", 'give a quantity of bytes above 0, such as "512Mi" or "1Gi"', site)
    return size


def _refused(what: str, fix: str, site: Site) -> DefinitionError:
    return DefinitionError(
        "TIP109", f"Gate: {what}", where=str(site), cause="no model could be judged by it", fix=fix
    )
