"""What the pods of a template request, and of which pool: a second of a step costs that, whatever it uses."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from tiphys.argo.durations import UNITS, pod_duration
from tiphys.argo.operated_kinds import OPERATED
from tiphys.argo.pools import pools_of
from tiphys.argo.quantity import quantity

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ContainerSpec
    from tiphys.argo.types import Template, Workflow

__all__ = ["PodBounds", "Requests", "amount", "bounds", "memory_limits", "requests", "templates_of"]

_SCALE = 10_000  # seconds that are counted at once: requests are integers of a unit


@dataclass(frozen=True, slots=True)
class Requests:
    """Of a template: ``own`` is what its pod requests with Argo's container, ``gang`` what the replicas of the training
    that it makes request together; cores, bytes, devices. ``pool`` is empty where it takes a permit of none."""

    own: Mapping[str, float] = field(default_factory=dict)
    gang: Mapping[str, float] = field(default_factory=dict)
    pool: str = ""


def requests(workflow: Workflow) -> dict[str, Requests]:
    """The requests of each template of the workflow, by its name."""
    pools = pools_of(workflow.get("metadata", {}).get("annotations") or {})
    found: dict[str, Requests] = {}
    for template in templates_of(workflow):
        name = str(template.get("name") or "")
        if name and name not in found:
            locks = (template.get("synchronization") or {}).get("semaphores") or ()
            refs = [item.get("configMapKeyRef") or {} for item in locks]
            keys = [f"{ref.get('name')}/{ref.get('key')}" for ref in refs]
            pool = next((pools[key].pool for key in keys if key in pools), "")
            found[name] = Requests(_own(template), _gang(template), pool)
    return found


@dataclass(frozen=True, slots=True)
class PodBounds:
    """Of one pod that a step is looked at by (its own, or one replica of the training that it makes), without Argo's
    container: what its containers request together, and the most that they may use; cores, bytes, devices. A resource
    that a container has no limit of has none. ``grows``: the limits are other ones when it is tried again."""

    requests: Mapping[str, float] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    grows: bool = False


def bounds(workflow: Workflow) -> dict[str, PodBounds]:
    """The bounds of each template of the workflow that makes pods, by its name."""
    found: dict[str, PodBounds] = {}
    for template in templates_of(workflow):
        replicas = [containers for _, containers in _replicas(_manifest(template))]
        containers = replicas[0] if replicas else _mains(template)
        name = str(template.get("name") or "")
        if name and containers and name not in found:
            limits = [_quantities(each, "limits") for each in containers]
            asked = [_quantities(each, "requests") for each in containers]
            found[name] = PodBounds(
                _summed([of | own for of, own in zip(limits, asked, strict=True)]),  # as Kubernetes fills in
                _summed(limits, all_of=True),
                "lastRetry" in str(template.get("podSpecPatch") or ""),
            )
    return found


def memory_limits(workflow: Workflow) -> dict[str, float]:
    """The bytes that the main container of each template may use; not of those whose limit grows."""
    found: dict[str, float] = {}
    for template in (workflow.get("spec") or {}).get("templates") or ():
        container = template.get("container", template.get("script"))
        limit = ((container or {}).get("resources") or {}).get("limits", {}).get("memory")
        if limit and "lastRetry" not in str(template.get("podSpecPatch") or ""):
            with contextlib.suppress(ValueError):
                found[str(template.get("name") or "")] = quantity(limit)
    return found


def amount(name: str, units: float) -> float:
    """So many units of Argo's ``resourcesDuration`` in seconds times cores, bytes, devices."""
    return units * UNITS.get(name, 1)


def templates_of(workflow: Workflow) -> Iterator[Template]:
    """All templates of a run: its own, and those that were stored of what it refers to."""
    status = workflow.get("status") or {}
    yield from (workflow.get("spec") or {}).get("templates") or ()
    yield from (status.get("storedWorkflowTemplateSpec") or {}).get("templates") or ()
    yield from (status.get("storedTemplates") or {}).values()


def _mains(template: Template) -> list[ContainerSpec]:
    container = template.get("container", template.get("script"))
    mains: list[ContainerSpec] = [] if container is None else [container]
    return mains + ((template.get("containerSet") or {}).get("containers") or [])


def _quantities(container: ContainerSpec, of: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, text in _map(_map(container.get("resources")).get(of)).items():
        with contextlib.suppress(ValueError):
            found[name] = quantity(text)
    return found


def _summed(each: Sequence[Mapping[str, float]], *, all_of: bool = False) -> dict[str, float]:
    """Of all containers together; ``all_of``: only what each of them has."""
    names = {name for one in each for name in one}
    return {
        name: sum(one.get(name, 0.0) for one in each)
        for name in sorted(names)
        if not all_of or all(name in one for one in each)
    }


def _own(template: Template) -> dict[str, float]:
    mains = _mains(template)
    if mains:
        return _together(
            [*mains, *(template.get("sidecars") or ()), {}]
        )  # with Argo's own, which asks for nothing
    return _together([{}]) if "resource" in template or "data" in template else {}


def _gang(template: Template) -> dict[str, float]:
    total: dict[str, float] = {}
    for count, containers in _replicas(_manifest(template)):
        for name, each in _together(containers).items():
            total[name] = total.get(name, 0.0) + count * each
    return total


def _manifest(template: Template) -> Mapping[str, object]:
    """The object that a resource template makes; what is no JSON before its tags are replaced is nothing here."""
    text = str((template.get("resource") or {}).get("manifest") or "")
    if (template.get("resource") or {}).get("action") not in ("create", "apply") or text[:1] != "{":
        return {}
    try:
        made = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return made if isinstance(made, dict) else {}


def _replicas(made: Mapping[str, object]) -> Iterator[tuple[int, list[ContainerSpec]]]:
    """The pods of a training of any kind: how many, and with which containers."""
    spec = _map(made.get("spec"))
    if (operated := OPERATED.get(str(made.get("kind")))) is not None:
        for each in _map(spec.get(operated.field)).values():
            yield _count(_map(each).get("replicas", 1)), _containers(_map(each).get("template"))
    elif made.get("kind") == "JobSet":
        jobs = spec.get("replicatedJobs")
        for each in jobs if isinstance(jobs, list) else ():
            job = _map(_map(_map(each).get("template")).get("spec"))
            times = _count(_map(each).get("replicas", 1)) * _count(job.get("parallelism", 1))
            yield times, _containers(job.get("template"))
    elif made.get("kind") == "RayJob":
        yield from ((count, _containers(group.get("template"))) for count, group in _ray_groups(spec))
    elif made.get("kind") == "TrainJob":
        trainer = _map(spec.get("trainer"))
        node = cast("ContainerSpec", {"resources": _map(trainer.get("resourcesPerNode"))})
        yield _count(trainer.get("numNodes", 1)), [node] if trainer else []


def _ray_groups(spec: Mapping[str, object]) -> Iterator[tuple[int, Mapping[str, object]]]:
    cluster = _map(spec.get("rayClusterSpec"))
    yield 1, _map(cluster.get("headGroupSpec"))
    groups = cluster.get("workerGroupSpecs")
    for each in groups if isinstance(groups, list) else ():
        yield _count(_map(each).get("replicas", 1)), _map(each)


def _containers(template: object) -> list[ContainerSpec]:
    found = _map(_map(template).get("spec")).get("containers")
    return (
        [cast("ContainerSpec", each) for each in found if isinstance(each, dict)]
        if isinstance(found, list)
        else []
    )


def _together(containers: Iterable[ContainerSpec]) -> dict[str, float]:
    counted = pod_duration((each, 0.0, _SCALE) for each in containers)
    return {name: amount(name, units / _SCALE) for name, units in counted.items()}


def _map(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int:
    text = str(value)
    return int(text) if text.isdecimal() and len(text) < 6 else 1
