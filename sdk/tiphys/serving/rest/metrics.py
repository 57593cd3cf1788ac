"""Counters and latencies in Prometheus' text format, under TensorFlow Serving's names."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tiphys.prometheus import Histogram, escaped, labelled
from tiphys.serving.model.servable import ModelError

if TYPE_CHECKING:
    from tiphys.serving.model.manager import Manager

__all__ = ["ServerMetrics"]

# microseconds: 10 * 1.8^i, as in tensorflow_serving/servables/tensorflow/util.cc
_BOUNDS = [10 * 1.8**i for i in range(33)]


class ServerMetrics:
    """What happened since the start."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str], int] = {}
        self._latency: dict[tuple[str, str, str], Histogram] = {}
        self._runtime: dict[str, Histogram] = {}

    def request(self, model: str, api: str, status: str, seconds: float, entry: str = "REST") -> None:
        key = (model, status)
        self._requests[key] = self._requests.get(key, 0) + 1
        if status == "OK":
            self._latency.setdefault((model, api, entry), Histogram(_BOUNDS)).add(seconds * 1e6)

    @contextlib.contextmanager
    def counted(self, manager: Manager, model: str, api: str, entry: str = "REST") -> Iterator[None]:
        """Count what is done inside, with the code of the ModelError that ends it; names of models that clients make up
        must not fill the memory. What is cut off is not counted."""
        started, status = time.perf_counter(), "OK"
        try:
            yield
        except ModelError as error:
            status = error.code.name
            raise
        except BaseException:
            status = ""
            raise
        finally:
            if status and model in manager.models:
                self.request(model, api, status, time.perf_counter() - started, entry)

    def runtime(self, model: str, seconds: float) -> None:
        self._runtime.setdefault(model, Histogram(_BOUNDS)).add(seconds * 1e6)

    def page(self, manager: Manager) -> bytes:
        lines = ["# TYPE :tensorflow:serving:request_count counter"]
        for (model, status), count in sorted(self._requests.items()):
            label = escaped(model)
            lines.append(
                f':tensorflow:serving:request_count{{model_name="{label}",status="{status}"}} {count}'
            )
        lines.append("# TYPE :tensorflow:serving:request_latency histogram")
        for (model, api, entry), histogram in sorted(self._latency.items()):
            labels = [("model_name", model), ("API", api), ("entrypoint", entry)]
            lines += histogram.lines(":tensorflow:serving:request_latency", labels)
        lines.append("# TYPE :tensorflow:serving:runtime_latency histogram")
        for model, histogram in sorted(self._runtime.items()):
            labels = [("model_name", model), ("API", "Predict"), ("runtime", "TF1")]
            lines += histogram.lines(":tensorflow:serving:runtime_latency", labels)
        lines.append("# TYPE :tiphys:serving:queued_requests gauge")
        lines.append("# TYPE :tiphys:serving:batches counter")
        for name in sorted(manager.models):
            for version in manager.known(name):
                if version.runner is None:
                    continue
                which = labelled([("model_name", name), ("version", str(version.number))])
                lines.append(f":tiphys:serving:queued_requests{which} {version.runner.queued}")
                lines.append(f":tiphys:serving:batches{which} {version.runner.batches}")
        return ("\n".join(lines) + "\n").encode("utf-8", "replace")
