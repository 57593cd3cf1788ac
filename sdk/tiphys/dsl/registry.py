"""The registry of models in a pipeline: it says what is served and whether to train again, and takes what was trained.

A ConfigMap is read by a resource template, a step computes the new one, and another resource template writes it in the
place of the one that was read. When somebody else was faster the API server refuses that, and all three run again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

from tiphys.compiler.line import Site, caller
from tiphys.dsl.components import Component, component
from tiphys.dsl.dags import Dag
from tiphys.dsl.durations import whole_seconds
from tiphys.dsl.resource import Resource
from tiphys.dsl.retry import Retry
from tiphys.dsl.task import Task
from tiphys.dsl.values import Expression, Value, workflow_name
from tiphys.errors import DefinitionError, RefusedError
from tiphys.numbers import finite
from tiphys.reference import Reference
from tiphys.registry.configmap import DOCUMENT, MODEL_LABEL, PAGE_LABEL
from tiphys.registry.due import DueRules
from tiphys.registry.names import check_alias, check_model_name, config_map
from tiphys.step import due as due_step
from tiphys.step import registry as steps

__all__ = ["ModelRegistry"]

_EVICTED = Retry.on_infrastructure()
# kubectl looks and then creates: of two that apply what is not there yet, one is told that it is
_MADE_BY_ANOTHER = replace(
    _EVICTED, expression=f"({_EVICTED.expression}) || lastRetry.message contains 'AlreadyExists'"
)


class TriedVersion(NamedTuple):
    """A version, and its folder. ``problem``: why there is none."""

    version: int
    model: Reference
    problem: str


class NamedVersion(NamedTuple):
    """A version, and its folder."""

    version: int
    model: Reference


class ModelRegistry:
    """A model of the registry, by its name.

    >>> registry = ModelRegistry("fashion-mnist")
    >>> with Pipeline("train") as pipeline:                                                  # doctest: +SKIP
    ...     served = registry.baseline("champion")
    ...     trained = train(better_than=served.report)
    ...     registry.register(trained.model, report=trained.report, alias="champion")

    ``attempts``: how often it is tried again when somebody else wrote at the same time. A step sees at most some 100 kB
    of document, what Argo gives to a step: some 250 versions.
    """

    def __init__(self, name: str, *, attempts: int = 10) -> None:
        site = caller()
        _checked(check_model_name, name, site)
        self.name = name
        again = Retry(limit=attempts, on="always", backoff="1s", max_backoff="20s")
        self._read = _state(name)
        self._page, self._write = _page(name), _write(name)
        self._register = _step(steps.register, f"registry-register-{name}")
        self._promote = _step(steps.promote, f"registry-promote-{name}")
        self._baseline = _step(steps.baseline, f"registry-baseline-{name}")
        self._refuse = component(steps.refuse, name=f"registry-refuse-{name}", retry=_EVICTED)
        self._try_register = Dag(self._registered, f"registry-try-register-{name}", again)
        self._try_promote = Dag(self._promoted, f"registry-try-promote-{name}", again)
        self.registering = Dag(self._registering, f"register-{name}")
        """``registering(model=…, report=…, alias=…, why=…)``: the template behind :meth:`register`."""
        self.promoting = Dag(self._promoting, f"promote-{name}")
        """``promoting(alias=…, version=…, why=…)``: the template behind :meth:`promote` and :meth:`rollback`."""
        self.asking = Dag(self._asking, f"baseline-{name}")
        """``asking(alias=…)``: the template behind :meth:`baseline`."""
        self._due = _step(due_step.due, f"registry-due-{name}")
        self.asking_due = Dag(self._asking_due, f"due-{name}")
        """``asking_due(alias=…, rules=…, data=…, measured=…)``: the template behind :meth:`due`."""

    def register(
        self,
        model: Value | Task | str,
        *,
        report: Value | Task | str = "{}",
        alias: str = "",
        why: Value | str = "",
    ) -> Task:
        """A task: ``model`` (a reference or a URI) becomes the next version; outputs ``version`` and ``model``.

        The same folder with the same digest is the version that it is already. ``report``: JSON, of which numbers and
        short words are kept. ``alias``: let it name this version, in the same change.
        """
        return self.registering(model=model, report=_text(report), alias=_alias(alias), why=why)  # type: ignore[no-any-return]

    def promote(self, version: Value | Task | int, *, alias: str = "champion", why: Value | str = "") -> Task:
        """A task: ``alias`` names ``version`` from now on; outputs ``version`` and ``model``."""
        return self.promoting(alias=_alias(alias), version=version, why=why)  # type: ignore[no-any-return]

    def rollback(self, *, alias: str = "champion", why: Value | str = "") -> Task:
        """A task: ``alias`` is where it was before its last move; outputs ``version`` and ``model``."""
        return self.promoting(alias=_alias(alias), version=0, why=why)  # type: ignore[no-any-return]

    def baseline(self, alias: str = "champion") -> Task:
        """A task that says what is served: outputs ``found``, ``version``, ``uri``, ``digest``, ``report`` (JSON)."""
        return self.asking(alias=_alias(alias))  # type: ignore[no-any-return]

    def due(
        self,
        *,
        alias: str = "champion",
        data: Value | Task | None = None,
        max_age: str | timedelta | None = None,
        falling: str = "test_accuracy",
        measured: Value | str = "",
        over: int = 8,
        chance: float = 0.05,
    ) -> Task:
        """A task that says whether to train again: outputs ``due``, ``reasons``, ``summary`` and ``model``, what is
        served, for a training that begins with it (``null`` where nothing is).

        It is due when nothing is served as ``alias``; when ``data`` has another digest than the ``dataset`` in the
        report of what is served; when that was registered longer than ``max_age`` ago; when the number ``falling`` of
        the reports falls from version to version, or ``measured`` (what is served, measured in this run) from run to
        run: of the last ``over`` values, so that chance alone gives it with a probability of at most ``chance``
        (:mod:`tiphys.registry.trend`).

        Raises DefinitionError: TIP109 numbers out of range, TIP115 ``max_age`` is no duration.
        """
        site = caller()
        if not (4 <= finite(over) <= 50 and isinstance(over, int) and 0 < finite(chance) < 1):
            raise DefinitionError(
                "TIP109",
                f"due(over={over!r}, chance={chance!r})",
                where=str(site),
                cause="of fewer than four values nobody can say that they fall",
                fix="give over from 4 to 50, and chance between 0 and 1",
            )
        age = 0 if max_age is None else whole_seconds(max_age, "max_age", site)
        rules = DueRules(age, falling, over, float(chance))
        return self.asking_due(alias=_alias(alias), rules=rules, data=data, measured=_text(measured))  # type: ignore[no-any-return]

    def _registering(self, model: Reference, report: str, alias: str, why: str) -> NamedVersion:
        return self._judged(self._try_register(model=model, report=report, alias=alias, why=why))

    def _promoting(self, alias: str, version: int, why: str) -> NamedVersion:
        return self._judged(self._try_promote(alias=alias, version=version, why=why))

    def _registered(self, model: Reference, report: str, alias: str, why: str) -> TriedVersion:
        made = self._register(
            name=self.name, state=self._read().state, model=model, report=report, alias=alias, why=why,
            run=workflow_name, who=workflow_name,
        )  # fmt: skip
        return self._kept(made)

    def _promoted(self, alias: str, version: int, why: str) -> TriedVersion:
        made = self._promote(
            name=self.name, state=self._read().state, alias=alias, version=version, why=why, who=workflow_name
        )
        return self._kept(made)

    def _judged(self, tried: Any) -> NamedVersion:
        """What is refused fails outside of what is tried again."""
        self._refuse(problem=tried.problem).when(tried.problem != "")
        return NamedVersion(tried.version, tried.model)

    def _asking(self, alias: str) -> steps.Baseline:
        found: Any = self._baseline(name=self.name, state=self._read().state, alias=alias)
        return steps.Baseline(found.found, found.version, found.uri, found.digest, found.report)

    def _asking_due(self, alias: str, rules: DueRules, data: Reference | None, measured: str) -> due_step.Due:
        said: Any = self._due(
            name=self.name, state=self._read().state, alias=alias, rules=rules, run=workflow_name, data=data,
            measured=measured,
        )  # fmt: skip
        return due_step.Due(said.due, said.reasons, said.summary, said.model)

    def _kept(self, made: Any) -> TriedVersion:
        page = self._page(name=made.page_name, text=made.page).when(made.page_name != "")
        self._write(version=made.resource_version, document=made.document).after(page).when(made.changed)
        return TriedVersion(made.version, made.model, made.problem)


def _text(value: Value | Task | str) -> Value | Task | str:
    """What a step gives as a record or as a number is text already."""
    if not isinstance(value, Value) or value.type is str:
        return value
    return Expression(value.expr, (value,), str)


def _alias(alias: str) -> str:
    if alias:
        _checked(check_alias, alias, caller())
    return alias


def _checked(check: Callable[[str], None], name: str, site: Site) -> None:
    """Raise DefinitionError TIP101 for a name that ``check`` refuses."""
    try:
        check(name)
    except RefusedError as error:
        raise DefinitionError(
            "TIP101", error.message, where=str(site), cause=error.cause, fix=error.fix
        ) from error


def _step(function: Callable[..., Any], name: str) -> Component:
    return component(function, name=name, retry=_EVICTED)


def _state(name: str) -> Resource:
    """Reads the ConfigMap, and makes it where there is none; both are one output, so that they are of one moment."""
    return Resource(
        f"registry-read-{name}",
        _map(config_map(name), {MODEL_LABEL: name}),
        action="apply",
        outputs={"state": f"{{.metadata.resourceVersion}} {{.data.{DOCUMENT}}}"},
        owned=False,
        retry=_MADE_BY_ANOTHER,
    )


def _write(name: str) -> Resource:
    """Takes the place of the one that was read; refused when that is no longer there."""
    return Resource(
        f"registry-write-{name}",
        {
            **_map(config_map(name), {MODEL_LABEL: name}, resourceVersion=Resource.input("version")),
            "data": {DOCUMENT: Resource.input("document")},
        },
        action="replace",
        inputs={"version": str, "document": str},
        owned=False,
    )


def _page(name: str) -> Resource:
    return Resource(
        f"registry-page-{name}",
        {
            **_map(Resource.input("name"), {PAGE_LABEL: name}),
            "immutable": True,
            "data": {DOCUMENT: Resource.input("text")},
        },
        action="apply",
        inputs={"name": str, "text": str},
        owned=False,
        retry=_MADE_BY_ANOTHER,
    )


def _map(name: object, labels: dict[str, str], **metadata: object) -> dict[str, object]:
    own = {"name": name, "labels": labels, **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": own}
