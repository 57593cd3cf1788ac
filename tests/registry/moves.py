"""A writer in a process of its own: it moves ``champion`` of the model ``m`` again and again, and tells each move.

    python -m tests.registry.moves FOLDER WHO COUNT                  the registry of a store
    python -m tests.registry.moves NAMESPACE WHO COUNT KUBECONFIG    that of a cluster

It begins when it is told a line, or nothing more.
"""

from __future__ import annotations

import sys

from tiphys.registry import ModelDocument, to_alias
from tiphys.registry.changes import By
from tiphys.runs.registry import RegistryKept


def registry_of(where: str, kubeconfig: str) -> RegistryKept:
    if not kubeconfig:
        from tiphys.store import Store
        from tiphys.store.registry import LocalRegistry

        return LocalRegistry(Store(where))
    from tiphys.runs import Client
    from tiphys.runs.cluster.kubernetes import Kubernetes
    from tiphys.runs.cluster.registry import ClusterRegistry

    backend = Client(namespace=where, kubeconfig=kubeconfig).backend
    assert isinstance(backend, Kubernetes)
    return ClusterRegistry(backend, where)


def main(where: str, who: str, count: str, kubeconfig: str = "") -> None:
    registry = registry_of(where, kubeconfig)
    sys.stdin.readline()
    for number in range(int(count)):

        def move(document: ModelDocument, number: int = number) -> ModelDocument:
            state = document.aliases.get("champion")
            after = ((state.version or 0) if state else 0) % 3 + 1
            return to_alias(document, "champion", after, By(who, "now", str(number)))

        registry.change("m", move)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
