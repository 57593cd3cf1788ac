"""Room for the pods that a controller makes: that of a gang is taken all at once, before the first one starts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from tiphys.argo.operated_kinds import OPERATED
from tiphys.engine.base.observations import Notice
from tiphys.engine.pods.gpus import in_turn, spec_needs, spec_shares
from tiphys.engine.pods.host import Host
from tiphys.engine.pods.room import requests
from tiphys.gang.jobset_rules import job_of
from tiphys.gang.tf_config import replica_counts

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import (
        DeploymentManifest,
        JobSetManifest,
        KubeObject,
        PodSpec,
        PodTemplate,
        TFReplica,
    )
    from tiphys.engine.runners.gpus import Gpu

__all__ = ["Seats", "check_gpus"]


def check_gpus(host: Host, item: KubeObject) -> None:
    """Raise NoGpus for an object whose pods can never run at once here, StartProblem for a number that is none."""
    if count := sum(spec_needs(spec) for spec in _pods(item)):
        host.room.gpus.check(count)


def _pods(item: KubeObject) -> Iterator[PodSpec]:
    """The pods that an object stands for."""
    what = item["kind"]
    if what == "Pod":
        yield cast("PodTemplate", item).get("spec") or {}
    elif what in ("TFJob", "PyTorchJob"):
        field = OPERATED[what].field
        specs = cast("dict[str, TFReplica]", item["spec"].get(field) or {})
        for kind, count in replica_counts(specs).items():
            yield from [specs[kind]["template"]["spec"]] * count
    elif what == "JobSet":
        job = job_of(cast("JobSetManifest", item))["template"]["spec"]
        yield from [job["template"]["spec"]] * int(job["completions"])
    elif what in ("Job", "Deployment"):
        made = cast("DeploymentManifest", item)["spec"]
        replicas = made.get("replicas") if what == "Deployment" else 1
        yield from [made["template"]["spec"]] * (1 if replicas is None else int(replicas))


class Seats:
    """Of the pods with these specs, by their names. ``name`` is that of all of them together."""

    def __init__(self, host: Host, name: str, specs: Mapping[str, PodSpec]) -> None:
        self._host = host
        self._name = name
        self._holder = host.holder(name)
        self._specs = specs

    def take(self, then: Callable[[], None]) -> None:
        """Call ``then`` when all have theirs: at once where none asks.

        Raises as :meth:`tiphys.engine.pods.gpus.GpuDesk.ask` and :func:`tiphys.engine.pods.gpus.asked`.
        """
        count, wants = sum(map(spec_needs, self._specs.values())), self._requests()
        if count or self._host.room.counts(wants):
            self._host.room.ask(self._host.guest(self._name, self._name), wants, count, then, self._tell)
        else:
            then()

    def of(self, pod: str) -> Mapping[str, Sequence[Gpu]]:
        """What the containers of a pod have."""
        at = 0
        gpus = self._host.room.gpus.of(self._holder)
        for name, spec in self._specs.items() if gpus else ():
            count = spec_needs(spec)
            if name == pod:
                return spec_shares(gpus[at : at + count], spec)
            at += count
        return {}

    def give_back(self) -> None:
        """None of them runs any more."""
        self._host.room.give_back(self._holder)

    def leave(self, pid: int) -> None:
        """They outlive the run, as the process ``pid`` does."""
        self._host.room.leave(self._holder, pid)

    def _requests(self) -> dict[str, int]:
        found: Counter[str] = Counter()
        for spec in self._specs.values():
            found.update(requests(*in_turn(spec)))
        return found

    def _tell(self, text: str) -> None:
        self._host.tell(Notice(time.time(), f"{self._name} waits: {text}"))
