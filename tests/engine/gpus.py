"""A machine with GPUs, for tests: stand-ins for their files, and a table of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.engine.runners.test_gpus import stand_in
from tiphys.engine.runners.gpus import GpuMachine

A, B = "GPU-aaaaaaaa-0000-0000-0000-000000000000", "GPU-bbbbbbbb-0000-0000-0000-000000000000"
TELL = "echo [$CUDA_VISIBLE_DEVICES] [$NVIDIA_VISIBLE_DEVICES]"


def machine(root: Path, *uuids: str) -> GpuMachine:
    """A machine with these GPUs."""
    cards = {f"0000:0{at}:00.0": (at, uuid) for at, uuid in enumerate(uuids)}
    return GpuMachine(stand_in(root / "machine", cards), {}, lambda: "")


def gpu(template: dict[str, Any], count: object = 1, name: str = "nvidia.com/gpu") -> dict[str, Any]:
    """The template, asking."""
    template["container"]["resources"] = {"limits": {name: count}}
    return template
