"""How the workers of a job call the author's function: as a step does, or in several processes by torchrun."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["called", "torchrun"]


def called(module: str, function: Callable[..., object]) -> list[str]:
    """The command that calls it with its inputs from the environment."""
    return ["python", "-m", "tiphys.step", f"{module}:{function.__qualname__}"]


def torchrun(command: list[str]) -> list[str]:
    """The same by torchrun, which takes what it is not told from the variables ``PET_…``."""
    return ["python", "-m", "torch.distributed.run", *command[1:]]
