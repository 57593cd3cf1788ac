"""The models that a run of this machine serves now: its services, as their balancer counts, and their replicas say.

A run that goes on has its balancers in a process beside it, and one that left its servers running
(``tiphys run --keep-serving``) does so still. What a run's record says of a service is what it was to be; here is what
answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tiphys.errors import ServingError, TiphysError
from tiphys.serving import BalancerProcess, ServingClient
from tiphys.serving.counted import Counted, counted, together

if TYPE_CHECKING:
    from tiphys.jsontypes import JsonObject
    from tiphys.records.record import RunRecord
    from tiphys.serving.balancer.process import NamedStats
    from tiphys.store import Store

__all__ = ["PictureInput", "ServedModel", "ServedReplica", "Thought", "served", "think"]

_PATIENCE = 5.0  # seconds for an answer: it is a page that waits
_LARGEST = 64  # pixels of a side that a person can draw
_DEEPEST = 3


@dataclass(frozen=True, slots=True)
class ServedReplica:
    """``state`` and ``requests``, ``failures``, ``active`` (running now) are the balancer's; ``counted`` is its own."""

    address: str
    state: str
    active: int
    requests: int
    failures: int
    counted: Counted


@dataclass(frozen=True, slots=True)
class PictureInput:
    """A signature that takes one picture of bytes: ``[?, height, width]`` of uint8, one ``output`` for each class."""

    signature: str
    name: str
    height: int
    width: int
    output: str


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One service of a run. ``service`` is its name without the run's, ``what`` the model that it was pointed at,
    ``model`` the name in URLs (empty where no replica tells it). ``problem``: why nobody can ask it from here."""

    service: str
    url: str
    what: str = ""
    model: str = ""
    requests: int = 0
    errors: int = 0
    retries: int = 0
    replicas: tuple[ServedReplica, ...] = ()
    counted: Counted = field(default_factory=Counted)
    picture: PictureInput | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Thought:
    """What one model says of a picture: a probability for each class, or the ``problem``."""

    service: str
    what: str
    values: Sequence[float] = ()
    problem: str = ""


def served(store: Store, run: RunRecord) -> list[ServedModel]:
    """The services of a run that a balancer stands for now, by name; none where nothing is served."""
    try:
        stats = BalancerProcess.attach(store.run(run.key) / "balancer.sock").stats()
    except (TiphysError, OSError, KeyError, ValueError):
        return []
    named = {step.outputs["url"]: step.inputs.get("name", "") for step in run.steps if "url" in step.outputs}
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(
            lambda item: _service(item[0].removeprefix(f"{run.name}-"), item[1], named), stats.items()
        )
        return sorted(found, key=lambda each: each.service)


def think(services: Sequence[ServedModel], pixels: Sequence[int]) -> list[Thought]:
    """What each model that takes pictures of that size says of one: ``pixels`` from 0 to 255, row by row.

    Raises ServingError TIP524 where no model takes such a picture.
    """
    asked = [
        each
        for each in services
        if each.picture is not None and each.picture.height * each.picture.width == len(pixels)
    ]
    if not asked or not all(0 <= value <= 255 for value in pixels):
        raise ServingError(
            "TIP524",
            f"no model of this run takes a picture of {len(pixels)} bytes",
            fix="is one served? `tiphys run --keep-serving` leaves the servers running",
        )
    with ThreadPoolExecutor(len(asked)) as pool:
        return list(pool.map(lambda each: _thought(each, pixels), asked))


# -- inside --------------------------------------------------------------------------------------------------------


def _service(name: str, stats: NamedStats, named: Mapping[str, str]) -> ServedModel:
    url = stats["url"]
    own, problem = [], ""
    counts: dict[str, list[Counted]] = {}
    for each in stats["endpoints"]:
        try:
            with ServingClient(f"http://{each['address']}", "", timeout=_PATIENCE) as client:
                told = counted(client.counters())
        except ServingError as error:
            told, problem = {}, error.cause or error.message
        for model, of_model in told.items():
            counts.setdefault(model, []).append(of_model)
        own.append(
            ServedReplica(
                each["address"],
                each["state"],
                each["active"],
                each["requests"],
                each["failures"],
                together(told.values()),
            )
        )
    model = next(iter(counts), "")
    picture = None
    if model and not problem:
        try:
            with ServingClient(url, model, timeout=_PATIENCE) as client:
                picture = _picture(client.metadata())
        except ServingError as error:
            problem = error.cause or error.message
    return ServedModel(
        name.partition(":")[0],
        url,
        named.get(url, ""),
        model,
        stats["requests"],
        stats["errors"],
        stats["retries"],
        tuple(own),
        together(counts.get(model, ())),
        picture,
        problem,
    )


def _picture(metadata: JsonObject) -> PictureInput | None:
    """The first signature that takes a picture and nothing else."""
    found = _in(metadata, "metadata", "signature_def", "signature_def")
    for name, signature in sorted(found.items(), key=lambda item: (item[0] != "serving_default", item[0])):
        inputs, outputs = _in(signature, "inputs"), _in(signature, "outputs")
        if len(inputs) != 1 or len(outputs) != 1:
            continue
        ((given, info),) = inputs.items()
        sides = _sides(info)
        if sides is not None:
            return PictureInput(name, given, *sides, next(iter(outputs)))
    return None


def _sides(info: object) -> tuple[int, int] | None:
    dims = _in(info, "tensor_shape").get("dim")
    if not isinstance(info, dict) or info.get("dtype") != "DT_UINT8" or not isinstance(dims, list):
        return None
    sizes = [str(each.get("size")) for each in dims if isinstance(each, dict)]
    if len(sizes) != _DEEPEST or sizes[0] != "-1" or not all(size.isdecimal() for size in sizes[1:]):
        return None
    height, width = int(sizes[1]), int(sizes[2])
    return (height, width) if 1 <= height <= _LARGEST and 1 <= width <= _LARGEST else None


def _in(value: object, *names: str) -> Mapping[str, object]:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _thought(service: ServedModel, pixels: Sequence[int]) -> Thought:
    picture = service.picture
    assert picture is not None
    rows = [list(pixels[start : start + picture.width]) for start in range(0, len(pixels), picture.width)]
    try:
        with ServingClient(service.url, service.model, timeout=_PATIENCE) as client:
            answer = client.predict(instances=[rows], signature=picture.signature)
        return Thought(service.service, service.what, [float(value) for value in answer[0]])
    except ServingError as error:
        return Thought(service.service, service.what, problem=error.cause or error.message)
    except (TypeError, ValueError, IndexError, KeyError):
        return Thought(service.service, service.what, problem="its answer is no list of numbers")
