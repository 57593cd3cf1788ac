"""The Open Inference Protocol, version 2 (KServe's V2), over gRPC: ``inference.GRPCInferenceService``.

Source: open_inference_grpc.proto of kserve/open-inference-protocol; messages are read and written by
:mod:`tiphys.serving.rpc.inference_messages`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from tiphys._version import __version__
from tiphys.net.protobuf import int_field
from tiphys.serving.model.inference import all_ready, asked_version, is_ready, model_about
from tiphys.serving.model.servable import Signature
from tiphys.serving.rest.read import no_signature
from tiphys.serving.rpc import inference_messages as messages

if TYPE_CHECKING:
    from tiphys.serving.model.manager import Manager
    from tiphys.serving.model.servable import Tensor
    from tiphys.serving.rest.lane import Lane
    from tiphys.serving.rest.metrics import ServerMetrics

__all__ = ["SERVICE", "InferenceApi"]

SERVICE = "inference.GRPCInferenceService"


class InferenceApi:
    """The calls, as functions from bytes to bytes. Raise ModelError. ``lane``: where large messages are read."""

    def __init__(self, manager: Manager, metrics: ServerMetrics, lane: Lane) -> None:
        self.manager = manager
        self.metrics = metrics
        self._lane = lane

    def calls(self) -> Mapping[str, Callable[[bytes, float | None], Awaitable[bytes]]]:
        return {
            "ServerLive": self.live,
            "ServerReady": self.ready,
            "ServerMetadata": self.server_metadata,
            "ModelReady": self.model_ready,
            "ModelMetadata": self.model_metadata,
            "ModelInfer": self.infer,
        }

    async def live(self, data: bytes, timeout: float | None) -> bytes:
        return int_field(1, True)

    async def ready(self, data: bytes, timeout: float | None) -> bytes:
        return int_field(1, all_ready(self.manager))

    async def server_metadata(self, data: bytes, timeout: float | None) -> bytes:
        return messages.server_response("tiphys", __version__)

    async def model_ready(self, data: bytes, timeout: float | None) -> bytes:
        name, version = messages.asked_model(data)
        return int_field(1, is_ready(self.manager, name, version))

    async def model_metadata(self, data: bytes, timeout: float | None) -> bytes:
        name, version = messages.asked_model(data)
        return messages.about_response(model_about(self.manager, name, version))

    async def infer(self, data: bytes, timeout: float | None) -> bytes:
        name, version = await self._lane.do(messages.asked_model, data, size=len(data))
        with self.metrics.counted(self.manager, name, "Infer", "GRPC"):
            return await self._infer(name, version, data, timeout)

    async def _infer(self, name: str, version: str, data: bytes, timeout: float | None) -> bytes:
        number, label = asked_version(self.manager, name, version)
        message = await self._lane.do(messages.InferMessage.read, data, size=len(data))
        request = message.request

        async def ask(asked: int | None) -> tuple[int, Mapping[str, Tensor]]:
            with self.manager.use(name, asked) as (found, runner):
                signature = runner.servable.signatures.get(request.signature)
                if signature is None:
                    raise no_signature(request.signature)
                inputs = await self._inputs(message, data, signature)
                return found.number, await runner.run(request.signature, inputs, timeout)

        answering, outputs = await self.manager.answered(name, number, label, ask)
        answered = request.answered(outputs)
        size = 8 * sum(len(tensor.values) for _, _, tensor in answered)
        write = partial(messages.infer_response, raw=message.raw)
        return await self._lane.do(
            write, name, answering, request.identity, answered, size=size, apart=not message.raw
        )

    async def _inputs(
        self, message: messages.InferMessage, data: bytes, signature: Signature
    ) -> dict[str, Tensor]:
        """Typed contents are read number by number: of a large message in a process of its own."""
        if message.raw:
            return await self._lane.do(message.request.tensors, signature, size=len(data))
        plain = Signature({**signature.inputs}, {**signature.outputs})
        return await self._lane.do(messages.typed_tensors, data, plain, size=len(data), apart=True)
