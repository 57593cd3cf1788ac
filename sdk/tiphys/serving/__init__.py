"""Model serving: a TensorFlow-Serving-compatible server, a load balancer and a client.

The module loads lazily, so that importing it costs nothing until a name is used.

* :class:`Balancer`, :class:`BalancerProcess`: the load balancer, in this process or in one that outlives it;
  :class:`CallBalancer`: that of gRPC.
* :class:`ServingClient`: predict, status and metadata over REST; :func:`mean`, :func:`vote` combine answers, and
  :class:`Ensemble` asks several models at once.
* :func:`serve`: replicas of the model server behind a balancer (what ``tiphys serve`` runs).
* ``python -m tiphys.serving``: the model server, with ``tensorflow_model_server``'s flags.
"""

from __future__ import annotations

from typing import Any

from tiphys.lazy import asked_for

_PUBLIC = {
    "Balancer": "tiphys.serving.balancer",
    "BalancerProcess": "tiphys.serving.balancer",
    "CallBalancer": "tiphys.serving.balancer",
    "Ensemble": "tiphys.serving.ensemble",
    "EnsembleAnswer": "tiphys.serving.ensemble",
    "Guard": "tiphys.serving.guard",
    "EnsembleMember": "tiphys.serving.ensemble",
    "TooFewAnswersError": "tiphys.serving.ensemble",
    "ModelServer": "tiphys.serving.server",
    "ServerConfig": "tiphys.serving.server",
    "ServingClient": "tiphys.serving.client",
    "VersionStatus": "tiphys.serving.client",
    "Vote": "tiphys.serving.aggregate",
    "mean": "tiphys.serving.aggregate",
    "LocalServing": "tiphys.serving.local",
    "serve": "tiphys.serving.local",
    "serve_forever": "tiphys.serving.local",
    "vote": "tiphys.serving.aggregate",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    return asked_for(__name__, _PUBLIC, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
