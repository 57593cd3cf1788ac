"""How a run is to be done, and what comes out of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tiphys.argo.nodes import outputs_of
from tiphys.argo.version import NEWEST, Argo
from tiphys.engine.base.observations import Observer
from tiphys.frozen import frozen

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow


__all__ = ["GpuChoice", "NetworkName", "RunOptions", "RunResult", "RunnerName"]

RunnerName = Literal["process", "sandbox", "auto", "docker"]
NetworkName = Literal["", "run", "host", "none"]
GpuChoice = int | Sequence[int | str] | None  # how many, which (numbers and UUIDs), or all that there are


def _slots() -> int:
    return max(16, 8 * (os.cpu_count() or 1))


@frozen
class RunOptions:
    """Settings of one run.

    ``images`` maps image patterns (shell globs) to ``host`` (this machine's programs) or to a folder that holds
    the image's unpacked root. ``project`` is put first on ``PYTHONPATH`` of steps that run in this Python
    environment. ``runner``: docs/runners.md says what each one promises; ``auto`` is the sandbox, or processes where
    that cannot be had. ``network``: ``run`` is one of the run's own, which reaches nothing that listens on this
    machine; ``host`` this machine's; with ``none`` each container has a loopback of its own and nothing else. An empty
    text: ``run`` in the sandbox, if no servers are to be kept, else ``host``.
    ``max_pods`` bounds the containers that run at once (daemons, training workers and servers do not
    count). ``gpus``: how many of this machine's GPUs the run may use, or their numbers and UUIDs, as ``nvidia-smi -L``
    has them; None: all that ``CUDA_VISIBLE_DEVICES`` leaves.
    ``grace``: seconds between SIGTERM and SIGKILL when a run is interrupted. ``strict``: refuse what would have
    no effect, such as a misspelt field, as ``argo submit`` does; else drop it, as ``kubectl apply`` does. ``argo``: the
    version to behave as, where versions differ (docs/conformance.md); a run keeps the one that it began with.
    ``strict_values``: a value that a step wrote, or that was given for the run, and that holds a tag is refused where
    Argo would read it for tags once more (docs/runs.md); a run keeps it, too. ``follow_logs``: the observer is told
    each line that a step writes, in pieces of 64 KiB at most; ``latest``: of much that comes at once only the end.
    ``secrets``: files with the Secrets of a run that goes on, where those it began with are gone or are to be others.
    """

    store: Path | str = ".tiphys"
    runner: RunnerName = "process"
    network: NetworkName = ""
    images: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    namespace: str = "argo"
    project: Path | str = ""
    observer: Observer | None = None
    follow_logs: bool | Literal["latest"] = False
    keep_serving: bool = False
    max_pods: int = field(default_factory=_slots)
    gpus: GpuChoice = None
    grace: float = 10.0
    handle_signals: bool = True
    strict: bool = True
    argo: Argo = NEWEST
    strict_values: bool = False
    secrets: Sequence[Path | str] = ()
    keep_folders: bool = False  # keep each step's private folder for inspection
    env: Mapping[str, str] = field(default_factory=dict)  # added to the environment of every step


@frozen
class RunResult:
    """The end of a run: ``workflow`` is the Workflow object with ``status`` as Argo writes it."""

    name: str
    workflow: Workflow
    folder: Path
    services: Sequence[Mapping[str, str]] = ()  # left running: {name, url}
    interrupted: bool = False  # by Ctrl-C or SIGTERM

    @property
    def phase(self) -> str:
        return str(self.workflow.get("status", {}).get("phase", ""))

    @property
    def message(self) -> str:
        return str(self.workflow.get("status", {}).get("message", ""))

    @property
    def succeeded(self) -> bool:
        return self.phase == "Succeeded"

    def outputs_of(self, step: str) -> dict[str, str]:
        """The outputs of the step ``step`` (``cnn.train``): their text by name, as its component returned them. Raises
        RunError TIP209 where the run has no such step."""
        return outputs_of(self.workflow, step)

    @property
    def exit_code(self) -> int:
        """0 for Succeeded, 130 after a Ctrl-C, 1 otherwise."""
        return 0 if self.succeeded else 130 if self.interrupted else 1
