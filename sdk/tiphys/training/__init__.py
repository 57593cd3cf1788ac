"""The training service: one API for any training code, a durable queue, and pools of teams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiphys.errors import TrainingServiceError

if TYPE_CHECKING:
    from tiphys.training.client import TrainingClient as Client
    from tiphys.training.job import Algorithm as Algorithm
    from tiphys.training.job import AlgorithmSecret as AlgorithmSecret
    from tiphys.training.job import JobState as JobState

__all__ = ["Algorithm", "AlgorithmSecret", "Client", "JobState"]


def __getattr__(name: str) -> object:
    """What needs gRPC is imported by who uses it."""
    if name == "Client":
        try:
            from tiphys.training.client import TrainingClient
        except ImportError as error:
            raise TrainingServiceError(
                "TIP826",
                "the training service is spoken to by gRPC, which is not installed",
                cause=str(error),
                fix="pip install 'tiphys[service]'",
            ) from error
        return TrainingClient
    if name in __all__:
        from tiphys.training import job

        return getattr(job, name)
    raise AttributeError(name)
