"""Models served: versions, replicas, what balancers counted, how long answers take; and one picture asked of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tiphys.pages.html import number
from tiphys.records.candidates import judged
from tiphys.runs.services import ServedModel, Thought
from tiphys.server.views.parts import Cell, Grid, Part, link
from tiphys.serving import mean

if TYPE_CHECKING:
    from tiphys.jsontypes import Json, JsonObject
    from tiphys.records.datasets import DataSet
    from tiphys.records.record import RunRecord
    from tiphys.serving.counted import Counted

__all__ = ["class_names", "drawable", "model_parts", "thoughts"]

_MARKS = {"healthy": "ok", "ejected": "bad", "draining": "wait"}


def model_parts(run: RunRecord, found: Sequence[ServedModel]) -> list[Part]:
    """What is served now; where nothing is, what was, and how to have it again."""
    if not found:
        return _none(run)
    warnings = [
        f"{each.service} cannot be asked from here: {each.problem}." for each in found if each.problem
    ]
    if warnings:
        warnings.append(
            "The servers of a run with a network of its own answer inside of it alone: --keep-serving or "
            "--network host gives them this machine's."
        )
    head = (
        "service",
        "serves",
        "versions",
        "ready",
        "requests",
        "errors",
        "asked again",
        "median",
        "99 %",
        "address",
    )
    rows = [_service(run, each) for each in found]
    services = Grid("Services, as their balancers count", head, rows, frozenset((4, 5, 6, 7, 8)))
    return [
        Part(
            "Services",
            ["Counts and times are those of the servers since they began."],
            warnings,
            (),
            [services, _replicas(found)],
        )
    ]


def drawable(found: Sequence[ServedModel]) -> tuple[int, int] | None:
    """Height and width of a picture that at least one of them takes: the size of the first."""
    return next(((each.picture.height, each.picture.width) for each in found if each.picture), None)


def class_names(run: RunRecord, data: Sequence[DataSet]) -> list[str]:
    """What the classes are called, in the order of a model's answers, as data or evaluations of the run say; empty
    where none does."""
    for each in data:
        if each.classes:
            return list(each.classes)
    return next((list(each.classes) for each in judged(run) if each.classes), [])


def thoughts(found: Sequence[Thought], names: Sequence[str]) -> JsonObject:
    """What the models say of a picture, and the mean of those that answered alike; ``labels`` are of the classes."""
    good = [list(each.values) for each in found if each.values]
    size = max(map(len, good), default=0)
    alike = [values for values in good if len(values) == size]
    labels: list[Json] = [*names] if len(names) == size else [str(place) for place in range(size)]
    models: list[Json] = [
        {"service": each.service, "what": each.what, "values": [*each.values], "problem": each.problem}
        for each in found
    ]
    mixed: list[Json] = [*mean([[values] for values in alike])[0]] if alike else []
    return {
        "models": models,
        "mean": mixed,
        "labels": labels,
    }


def _none(run: RunRecord) -> list[Part]:
    were = [step for step in run.steps if step.creates == "Service" and step.phase == "Succeeded"]
    goes_on = run.phase in ("Running", "Pending")
    notes = (
        ["Nothing is served yet: services come up when their step has run."]
        if goes_on
        else [
            "Nothing of this run is served now: its servers ended with it.",
            "`tiphys run --keep-serving` leaves them running, and this page then has a pad to draw on.",
        ]
    )
    rows = [
        [Cell(step.name), Cell(step.inputs.get("name", "")), Cell(step.outputs.get("url", ""), code=True)]
        for step in were
    ]
    grids = [Grid("What was served while it ran", ("step", "model", "address then"), rows)] if rows else []
    return [Part("Services", notes, (), (), grids)]


def _service(run: RunRecord, each: ServedModel) -> list[Cell]:
    ready = sum(replica.state == "healthy" for replica in each.replicas)
    whole = bool(each.replicas) and ready == len(each.replicas)
    uri = _folders(run).get(each.what, "")
    return [
        Cell(each.service),
        Cell(each.what or each.model, link("lineage", of=uri) if uri else ""),
        Cell(", ".join(map(str, each.counted.versions))),
        Cell(f"{ready} of {len(each.replicas)}", mark="ok" if whole else "bad"),
        Cell(f"{each.requests:,}"),
        Cell(f"{each.errors:,}", mark="bad" if each.errors else ""),
        Cell(f"{each.retries:,}"),
        *_times(each.counted),
        Cell(f"{each.url}/v1/models/{each.model}" if each.model else each.url, code=True),
    ]


def _replicas(found: Sequence[ServedModel]) -> Grid:
    rows = [
        [
            Cell(f"{each.service}: {replica.address}"),
            Cell(replica.state, mark=_MARKS.get(replica.state, "wait")),
            Cell(", ".join(map(str, replica.counted.versions))),
            Cell(f"{replica.requests:,}"),
            Cell(f"{replica.failures:,}", mark="bad" if replica.failures else ""),
            Cell(str(replica.active)),
            Cell(f"{replica.counted.answered:,}"),
            Cell(f"{replica.counted.refused:,}"),
            *_times(replica.counted),
        ]
        for each in found
        for replica in each.replicas
    ]
    head = ("replica", "state", "versions", "given", "failed", "now", "answered", "refused", "median", "99 %")
    return Grid(
        "Replicas: what the balancer gave them, and what they say themselves",
        head,
        rows,
        frozenset(range(3, 10)),
    )


def _times(counted: Counted) -> list[Cell]:
    found = (counted.quantile(0.5), counted.quantile(0.99))
    return [Cell("" if value is None else f"{number(value * 1000)} ms") for value in found]


def _folders(run: RunRecord) -> Mapping[str, str]:
    """Where each model lies that a step of the run deployed, by its name."""
    return {
        step.inputs["name"]: item.uri
        for step in run.steps
        if step.creates == "Deployment" and "name" in step.inputs
        for item in step.uses[:1]
    }
