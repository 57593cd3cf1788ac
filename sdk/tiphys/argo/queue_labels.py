"""How a pod or a job says to Kueue whose turn it waits for, and in which class (https://kueue.sigs.k8s.io)."""

from __future__ import annotations

__all__ = ["CLASS", "QUEUE", "queue_labels"]

QUEUE = "kueue.x-k8s.io/queue-name"
CLASS = "kueue.x-k8s.io/priority-class"


def queue_labels(queue: str, workload_class: str) -> dict[str, str]:
    """The labels; none for what is not given."""
    return {key: value for key, value in ((QUEUE, queue), (CLASS, workload_class)) if value}
