"""All requests that name no version of a model get the same one, whichever replica they come to.

Each replica takes up a new version when it has loaded it, one before the other. Where a balancer names the version, it
is another for all of them at once: nobody sees an old answer after a new one.
"""

from __future__ import annotations

import threading
from urllib.parse import quote

from tiphys.net.protobuf import MOST, WireError, bytes_field, few_fields, int_field
from tiphys.serving.model.servable import ModelError
from tiphys.serving.rpc.inference_messages import asked_model
from tiphys.serving.rpc.messages import ModelSpec

__all__ = ["OPEN_VERBS", "VERBS", "VersionPin"]

VERBS = (":predict", ":classify", ":regress", "/metadata")
OPEN_VERBS = ("/infer", "")  # of the Open Inference Protocol; nothing: what the model is
_CALLS = ("Predict", "Classify", "Regress", "GetModelMetadata")
_OPEN_CALLS = ("ModelInfer", "ModelMetadata")  # of the Open Inference Protocol: the version is a text


class VersionPin:
    """``version`` of the ``model``. ``active``: how many requests are on their way that were told of it."""

    def __init__(self, model: str, version: int) -> None:
        self.model, self.version, self.active = model, version, 0
        self._guard = threading.Lock()  # two balancers, of HTTP and of gRPC, have it
        models = dict.fromkeys((model, quote(model, safe="")))
        self._paths = {
            f"/v1/models/{each}{verb}": (f"/v1/models/{each}", verb) for each in models for verb in VERBS
        }
        self._paths |= {
            f"/v2/models/{each}{verb}": (f"/v2/models/{each}", verb) for each in models for verb in OPEN_VERBS
        }

    def __enter__(self) -> VersionPin:
        """For as long as a request is on its way."""
        with self._guard:
            self.active += 1
        return self

    def __exit__(self, *exception: object) -> None:
        with self._guard:
            self.active -= 1

    def target(self, target: str) -> str:
        """The target of a request, with the version, if it names none."""
        path, mark, query = target.partition("?")
        found = self._paths.get(path)
        if found is None:
            return target
        place, verb = found
        return f"{place}/versions/{self.version}{verb}{mark}{query}"

    def message(self, method: str, data: bytes) -> bytes:
        """The message of a gRPC call, likewise. A message that cannot be read is left as it is."""
        call = method.rpartition("/")[2]
        if call in _OPEN_CALLS:
            return self._open(data)
        try:
            if call == "MultiInference":
                return self._tasks(memoryview(data))
            return self._named(data) if call in _CALLS else data
        except WireError:
            return data

    def _named(self, data: bytes) -> bytes:
        """A message whose first field is a ModelSpec."""
        spec = ModelSpec.read(memoryview(data))
        if spec.name != self.model or spec.version is not None or spec.label is not None:
            return data
        # of a field that comes twice readers merge the messages (protobuf, "Last One Wins" but for messages)
        return data + bytes_field(1, bytes_field(2, int_field(1, self.version)))

    def _tasks(self, message: memoryview) -> bytes:
        """A MultiInferenceRequest: its tasks are the first field, its examples the second."""
        parts = []
        for field, value in few_fields(message, MOST):
            if isinstance(value, memoryview):
                parts.append(bytes_field(field, self._named(bytes(value)) if field == 1 else bytes(value)))
            else:
                parts.append(int_field(field, value))
        return b"".join(parts)

    def _open(self, data: bytes) -> bytes:
        try:
            model, version = asked_model(data)
        except ModelError:
            return data
        return data if model != self.model or version else data + bytes_field(2, str(self.version).encode())
