"""Which worker of which gang this process is: ``TF_CONFIG`` as Kubeflow's training operator writes it, checked."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tiphys.errors import ComponentError

__all__ = ["SINGLE", "Gang", "PeerLostError", "available_cores", "read_tf_config", "wait_for_names"]


class PeerLostError(ComponentError):
    """This worker must end and be started again, as after the loss of a peer. Exit code 138."""

    exit_code = 138


@dataclass(frozen=True)
class Gang:
    """The workers' addresses (``host:port``) in order, and which of them this process is."""

    workers: tuple[str, ...]
    index: int

    @property
    def size(self) -> int:
        return max(1, len(self.workers))

    @property
    def is_chief(self) -> bool:
        """Worker 0 writes the checkpoints, the metrics and the model."""
        return self.index == 0

    @property
    def neighbours(self) -> int:
        """How many workers of the gang, with this one, share this host."""
        if not self.workers:
            return 1
        own = _host(self.workers[self.index])
        return sum(_host(address) == own for address in self.workers)


SINGLE = Gang((), 0)


def read_tf_config(environ: Mapping[str, str] | None = None) -> Gang:
    """The gang that ``TF_CONFIG`` describes; without it, one worker (the operator sets none for one replica).

    Raises ComponentError TIP712 when it is malformed or describes something else than plain workers.
    """
    text = (os.environ if environ is None else environ).get("TF_CONFIG", "")
    if not text.strip():
        return SINGLE
    try:
        value = json.loads(text)
        jobs, task = value["cluster"], value["task"]
        kind, index = task["type"], task["index"]
        if isinstance(index, str):
            index = int(index)
        workers = jobs["worker"]
    except (ValueError, KeyError, TypeError) as error:
        raise _invalid(f"it cannot be read: {type(error).__name__} {error}") from error
    if set(jobs) != {"worker"} or kind != "worker":
        raise _invalid(f"only workers are supported, found jobs {sorted(jobs)} and task type {kind!r}")
    if not isinstance(workers, list) or not all(isinstance(item, str) and ":" in item for item in workers):
        raise _invalid("cluster.worker is not a list of host:port")
    if len(set(workers)) != len(workers):
        raise _invalid("two workers have the same address")
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(workers):
        raise _invalid(f"task.index is {index!r}, but there are {len(workers)} workers")
    return Gang(tuple(workers), index)


def wait_for_names(
    gang: Gang,
    seconds: float,
    *,
    look_up: Callable[[str, None], object] = socket.getaddrinfo,
    pause: float = 1.0,
) -> None:
    """Wait until every worker's host name resolves: a pod's name appears some time after the pod.

    Raises PeerLostError (TIP715) when one does not resolve within ``seconds``.
    """
    deadline = time.monotonic() + seconds
    for address in gang.workers:
        while True:
            try:
                look_up(_host(address), None)
                break
            except OSError as error:
                if time.monotonic() >= deadline:
                    raise PeerLostError(
                        "TIP715",
                        f"the worker {address} is not there",
                        cause=f"its name does not resolve after {seconds:.0f} s: {error}",
                        fix="nothing to do when the job restarts its workers; else look at the job's pods",
                    ) from error
                time.sleep(pause)


def available_cores() -> int:
    """The cores that this process may use: its CPU affinity, cut by the container's CPU limit (cgroup v2 and v1)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit: float = cores
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            limit = int(quota) / int(period)
    except (OSError, ValueError):
        try:
            folder = Path("/sys/fs/cgroup/cpu")
            quota_us = int((folder / "cpu.cfs_quota_us").read_text())
            if quota_us > 0:
                limit = quota_us / int((folder / "cpu.cfs_period_us").read_text())
        except (OSError, ValueError):
            pass
    return max(1, min(cores, round(limit)))


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _invalid(cause: str) -> ComponentError:
    return ComponentError(
        "TIP712",
        "the environment variable TF_CONFIG is not usable",
        where="TF_CONFIG",
        cause=cause,
        fix="let the training operator set it, or unset it to train in one process",
    )
