"""The verbs on runs, wherever they are: one Client over the runs of this machine and those of a cluster.

>>> from tiphys import Client
>>> with Client() as client:                                     # doctest: +SKIP
...     run = client.submit("pipelines/fashion_mnist.py", parameters={"epochs": 3})
...     for line in client.logs(run.name, follow=True):
...         print(line.source, line.text)
...     result = client.wait(run.name, timeout=60)

Two ways lead to a cluster: the Argo Server's REST API, and the Kubernetes API of a kubeconfig with no server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiphys.lazy import asked_for

if TYPE_CHECKING:
    from tiphys.runs.backend import Backend, Change, WorkflowLogLine
    from tiphys.runs.client import Client, Submitted
    from tiphys.runs.cluster.errors import WaitTimeout
    from tiphys.runs.cluster.kubernetes import Kubernetes
    from tiphys.runs.cluster.server import ArgoServer
    from tiphys.runs.cluster.submission import Submission, prepare
    from tiphys.runs.cluster.transport import (
        FakeTransport,
        HttpTransport,
        Request,
        Response,
        Stream,
        Transport,
    )
    from tiphys.runs.result import NodeFailure, Result, Row, rows

_PUBLIC = {
    "ArgoServer": "tiphys.runs.cluster.server",
    "Backend": "tiphys.runs.backend",
    "Change": "tiphys.runs.backend",
    "Client": "tiphys.runs.client",
    "FakeTransport": "tiphys.runs.cluster.transport",
    "HttpTransport": "tiphys.runs.cluster.transport",
    "Kubernetes": "tiphys.runs.cluster.kubernetes",
    "NodeFailure": "tiphys.runs.result",
    "Request": "tiphys.runs.cluster.transport",
    "Response": "tiphys.runs.cluster.transport",
    "Result": "tiphys.runs.result",
    "Row": "tiphys.runs.result",
    "Stream": "tiphys.runs.cluster.transport",
    "Submission": "tiphys.runs.cluster.submission",
    "Submitted": "tiphys.runs.client",
    "Transport": "tiphys.runs.cluster.transport",
    "WaitTimeout": "tiphys.runs.cluster.errors",
    "WorkflowLogLine": "tiphys.runs.backend",
    "prepare": "tiphys.runs.cluster.submission",
    "rows": "tiphys.runs.result",
}

__all__ = [
    "ArgoServer",
    "Backend",
    "Change",
    "Client",
    "FakeTransport",
    "HttpTransport",
    "Kubernetes",
    "NodeFailure",
    "Request",
    "Response",
    "Result",
    "Row",
    "Stream",
    "Submission",
    "Submitted",
    "Transport",
    "WaitTimeout",
    "WorkflowLogLine",
    "prepare",
    "rows",
]


def __getattr__(name: str) -> Any:
    return asked_for(__name__, _PUBLIC, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
