"""The gRPC server: the same models as the REST API's, in the same event loop.

Handlers take and give bytes; the messages are read and written by :mod:`tiphys.serving.rpc.messages`. Needs
``grpcio``, which comes with TensorFlow.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from tiphys.net.protobuf import WireError, int_field, text
from tiphys.net.protobuf import messages as wire_messages
from tiphys.serving.model.manager import Manager
from tiphys.serving.model.servable import (
    DEFAULT_SIGNATURE,
    Code,
    ModelError,
    Signature,
    Tensor,
    invalid,
)
from tiphys.serving.rest.examples import Classify, Regress
from tiphys.serving.rest.lane import HUGE, Lane
from tiphys.serving.rest.metrics import ServerMetrics
from tiphys.serving.rpc import messages
from tiphys.serving.rpc.frames import said
from tiphys.serving.rpc.inference import SERVICE, InferenceApi
from tiphys.serving.rpc.plans import inference_plans

__all__ = ["HEALTH", "GrpcApi", "GrpcServer", "Handler", "answered", "installed"]

HEALTH = "grpc.health.v1.Health"
T = TypeVar("T")
Handler = Callable[[bytes, float | None], Awaitable[bytes]]


class GrpcApi:
    """The calls, as functions from bytes to bytes. Raise ModelError."""

    def __init__(
        self,
        manager: Manager,
        metrics: ServerMetrics,
        lane: Lane,
    ) -> None:
        self.manager = manager
        self.metrics = metrics
        self._lane = lane
        self._inference = InferenceApi(manager, metrics, lane)

    def calls(self) -> Mapping[str, Mapping[str, Handler]]:
        return {
            "tensorflow.serving.PredictionService": {
                "Predict": self.predict,
                "Classify": self.classify,
                "Regress": self.regress,
                "MultiInference": self.multi_inference,
                "GetModelMetadata": self.metadata,
            },
            "tensorflow.serving.ModelService": {
                "GetModelStatus": self.status,
                "HandleReloadConfigRequest": self.reload,
            },
            SERVICE: self._inference.calls(),
            HEALTH: {"Check": self.check},
        }

    async def predict(self, data: bytes, timeout: float | None) -> bytes:
        request = await self._read(messages.PredictRequest.read, data)
        with self.metrics.counted(self.manager, request.spec.name, "Predict", "GRPC"):
            return await self._predict(request, timeout)

    async def _predict(self, request: messages.PredictRequest, timeout: float | None) -> bytes:
        name, number, label = self._resolve(request.spec)
        key = request.spec.signature or DEFAULT_SIGNATURE

        async def ask(asked: int | None) -> tuple[int, Mapping[str, Tensor]]:
            with self.manager.use(name, asked) as (version, runner):
                signature = runner.servable.signatures.get(key)
                if signature is None:
                    raise ModelError(Code.FAILED_PRECONDITION, f'Serving signature key "{key}" not found.')
                _check_inputs(signature, request)
                return version.number, await runner.run(key, request.inputs, timeout)

        answering, outputs = await self.manager.answered(name, number, label, ask)
        if request.output_filter:
            outputs = {alias: outputs[alias] for alias in request.output_filter}
        return messages.predict_response((name, answering, key), outputs)

    async def _read(self, function: Callable[[bytes], T], data: bytes) -> T:
        """Read a message; what is many small parts in a process of its own, where it is large."""
        apart = len(data) >= HUGE and not await self._lane.do(messages.is_light, data, size=len(data))
        return await self._lane.do(function, data, size=len(data), apart=apart)

    async def classify(self, data: bytes, timeout: float | None) -> bytes:
        return await self._examples(Classify, data, timeout)

    async def regress(self, data: bytes, timeout: float | None) -> bytes:
        return await self._examples(Regress, data, timeout)

    async def _examples(self, call: type[Classify | Regress], data: bytes, timeout: float | None) -> bytes:
        spec = messages.ModelSpec.read(memoryview(data))
        with self.metrics.counted(self.manager, spec.name, call.__name__, "GRPC"):
            return await self._answer(call, spec, await self._read(messages.examples_of, data), timeout)

    async def _answer(
        self, call: type[Classify | Regress], spec: messages.ModelSpec, batch: Tensor, timeout: float | None
    ) -> bytes:
        name, number, label = self._resolve(spec)
        key = spec.signature or DEFAULT_SIGNATURE

        async def ask(asked: int | None) -> bytes:
            with self.manager.use(name, asked) as (version, runner):
                plan = call(key, runner.servable.signatures)
                outputs = await runner.run(key, {plan.input: batch}, timeout)
            rows = plan.rows(outputs, batch.shape[0])
            return messages.results_response((name, version.number, key), rows)

        return await self.manager.answered(name, number, label, ask)

    async def multi_inference(self, data: bytes, timeout: float | None) -> bytes:
        """multi_inference.cc: several signatures of one model asked of the same examples."""
        tasks = messages.inference_tasks(data)
        first = tasks[0].spec if tasks and tasks[0].spec.present else messages.ModelSpec()
        name, number, label = self._resolve(first)

        async def ask(asked: int | None) -> bytes:
            with self.manager.use(name, asked) as (version, runner):
                plans = inference_plans(tasks, runner.servable.signatures)
                batch, results = await self._read(messages.examples_of, data), []
                for key, (method, plan) in plans.items():
                    outputs = await runner.run(key, {plan.input: batch}, timeout)
                    rows = plan.rows(outputs, batch.shape[0])
                    results.append(((name, version.number, key), method, rows))
            return messages.inference_response(results)

        return await self.manager.answered(name, number, label, ask)

    async def metadata(self, data: bytes, timeout: float | None) -> bytes:
        view = memoryview(data)
        asked = [bytes(value).decode("utf-8", "replace") for value in wire_messages(view, 2)]
        if not asked:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for field in asked:
            if field != "signature_def":
                raise invalid(f"Metadata field {field} is not supported")
        name, number = self._version(messages.ModelSpec.read(view))
        with self.manager.use(name, number) as (version, runner):
            return messages.metadata_response(name, version.number, runner.servable.signatures)

    async def status(self, data: bytes, timeout: float | None) -> bytes:
        name, number = self._version(messages.ModelSpec.read(memoryview(data)))
        return messages.status_response(self.manager.status(name, number))

    async def reload(self, data: bytes, timeout: float | None) -> bytes:
        await self.manager.reconfigure(messages.reload_request(data))
        return messages.OK_STATUS

    async def check(self, data: bytes, timeout: float | None) -> bytes:
        """Of gRPC's health service."""
        if (status := self.serving(data)) != 1:
            raise ModelError(Code.NOT_FOUND, "unknown service")
        return int_field(1, status)

    def serving(self, data: bytes) -> int:
        """1 SERVING, 3 SERVICE_UNKNOWN (health.proto). The empty name means the server as a whole."""
        name = text(memoryview(data), 1)
        return 1 if not name or name in self.calls() else 3

    def _version(self, spec: messages.ModelSpec) -> tuple[str, int | None]:
        name, number, label = self._resolve(spec)
        return name, self.manager.resolve_label(name, label) if label else number

    def _resolve(self, spec: messages.ModelSpec) -> tuple[str, int | None, str]:
        """The name, and the version or the label."""
        if not spec.present:
            raise invalid("Missing ModelSpec")
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        if spec.label is not None:
            if not spec.label:
                self.manager.resolve_label(spec.name, "")  # there is none of that name
            return spec.name, None, spec.label
        return spec.name, spec.version, ""


def _check_inputs(signature: Signature, request: messages.PredictRequest) -> None:
    """predict_util.cc, PreProcessPrediction."""
    sent, known = set(request.inputs), set(signature.inputs)
    if sent != known:

        def show(names: set[str]) -> str:
            return "{" + ",".join(sorted(names)) + "}"

        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(known)} len({show(sent)}) != "
            f"len({show(known)}). Sent extra: {show(sent - known)}. Missing but required: {show(known - sent)}."
        )
    seen: set[str] = set()
    for alias in request.output_filter:
        if alias not in signature.outputs:
            outputs = ",".join(sorted(signature.outputs))
            raise invalid(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {{{outputs}}}."
            )
        if alias in seen:
            raise invalid(f"duplicate output tensor alias: {alias}")
        seen.add(alias)


async def answered(call: Handler, data: bytes, timeout: float | None) -> bytes:
    """Make a call, however it came. Raises ModelError for all that is wrong with its message."""
    try:
        messages.look_at(data)
        return await call(data, timeout)
    except WireError as error:
        raise ModelError(Code.INTERNAL, f"Failed to parse the request: {error}") from None


def installed() -> bool:
    """Whether grpcio is there."""
    from importlib.util import find_spec

    return find_spec("grpc") is not None


class GrpcServer:
    """Serves a :class:`GrpcApi` and gRPC's health service on one address."""

    def __init__(
        self,
        api: GrpcApi,
        host: str,
        port: int,
        *,
        max_message_bytes: int,
        arguments: Sequence[tuple[str, int | str]] = (),
    ) -> None:
        """``arguments``: channel arguments, beside those of the sizes."""
        self._api = api
        self.host = host
        self.port = port
        self._max_bytes = max_message_bytes
        self._arguments = arguments
        self._server: Any = None
        self._stopping = asyncio.Event()
        self.busy = 0
        """Calls that have come and are not answered."""

    async def start(self) -> None:
        """Import grpcio in a thread (it takes a moment), bind, serve. Raises RuntimeError or OSError when the
        address cannot be bound."""
        grpc = await asyncio.to_thread(_import_grpc)
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", self._max_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
                *self._arguments,
            ]
        )
        handlers = {
            service: {
                name: grpc.unary_unary_rpc_method_handler(self._unary(grpc, call))
                for name, call in calls.items()
            }
            for service, calls in self._api.calls().items()
        }
        handlers[HEALTH]["Watch"] = grpc.unary_stream_rpc_method_handler(self._watch)
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(*each) for each in handlers.items()]
        )
        self.port = server.add_insecure_port(f"{self.host}:{self.port}")
        await server.start()
        self._server = server

    async def stop(self, drain_seconds: float) -> None:
        """Take no new calls, let running ones end."""
        self._stopping.set()
        if self._server is not None:
            await self._server.stop(drain_seconds)

    def _unary(self, grpc: Any, call: Handler) -> Callable[[bytes, Any], Awaitable[bytes]]:
        codes = {code.value[0]: code for code in grpc.StatusCode}

        async def handle(data: bytes, context: Any) -> bytes:
            self.busy += 1
            try:
                return await answered(call, data, context.time_remaining())
            except ModelError as error:
                code, message = codes[error.code.value], said(error.message)
            finally:
                self.busy -= 1
            result: bytes = await context.abort(code, message)
            return result

        return handle

    async def _watch(self, data: bytes, context: Any) -> AsyncIterator[bytes]:
        yield int_field(1, self._api.serving(data))
        with contextlib.suppress(asyncio.CancelledError):
            await self._stopping.wait()
            yield int_field(1, 2)  # NOT_SERVING


def _import_grpc() -> Any:
    import grpc
    import grpc.aio

    return grpc
