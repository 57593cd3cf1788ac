"""The training service over gRPC."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection

from tiphys.errors import TiphysError, TrainingServiceError
from tiphys.net.message import bearer_token
from tiphys.net.server import cannot_listen
from tiphys.training.calls import TrainingCalls
from tiphys.training.convert import ERROR_KEY, shortened, status_of, told, unforeseen
from tiphys.training.proto import training_service_pb2 as wire

__all__ = ["start_rpc"]

Q = TypeVar("Q")
A = TypeVar("A")
log = logging.getLogger("tiphys.training")
_SERVICE = wire.DESCRIPTOR.services_by_name["TrainingService"]
_LARGEST = 1 << 20  # bytes of a message
_AT_ONCE = 4096  # calls; gRPC refuses more with RESOURCE_EXHAUSTED


def _token(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            return bearer_token(value if isinstance(value, str) else value.decode("utf-8", "replace"))
    return ""


async def _refuse(context: grpc.aio.ServicerContext[Any, Any], error: BaseException) -> None:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if not isinstance(error, TiphysError):
        log.error("a call of the training service", exc_info=error)
        error = unforeseen()
    error = shortened(error)
    status, _ = status_of(error)
    text = ". ".join(each for each in (f"{error.code}: {error.message}", error.cause, error.fix) if each)
    await context.abort(getattr(grpc.StatusCode, status), text, ((ERROR_KEY, told(error).encode()),))


def _reader(kind: type[Any]) -> Callable[[bytes], Any]:
    """Reads a message; what is none becomes the error that its sender is told."""

    def read(data: bytes) -> Any:
        try:
            return kind.FromString(data)
        except DecodeError:
            return TrainingServiceError(
                "TIP821",
                f"this is no {kind.DESCRIPTOR.name}: not of its proto, or a text in it is not UTF-8",
                fix="docs/training.md has each message",
            )

    return read


def _handlers(calls: TrainingCalls) -> grpc.GenericRpcHandler:
    answered: dict[str, Callable[[Any, str], Awaitable[Any]]] = {
        "Train": calls.train,
        "GetTrainingStatus": calls.status,
        "Cancel": calls.cancel,
        "List": calls.list,
        "CreateAlgorithmMapping": calls.create_algorithm,
        "UpdateAlgorithmVersion": calls.update_algorithm,
        "ListAlgorithms": calls.algorithms,
        "ListPools": calls.pools,
    }
    streams: dict[str, Callable[[Any, str], AsyncIterator[Any]]] = {
        "WatchStatus": calls.watch,
        "Logs": calls.logs,
    }
    handlers = {}
    for method in _SERVICE.methods:
        read = _reader(GetMessageClass(method.input_type))
        write = GetMessageClass(method.output_type).SerializeToString
        if method.server_streaming:
            call = _streamed(streams[method.name])
            handlers[method.name] = grpc.unary_stream_rpc_method_handler(call, read, write)
        else:
            handlers[method.name] = grpc.unary_unary_rpc_method_handler(
                _answered(answered[method.name]), read, write
            )
    return grpc.method_handlers_generic_handler(_SERVICE.full_name, handlers)


def _answered(call: Callable[[Any, str], Awaitable[A]]) -> Callable[[Any, Any], Awaitable[A]]:
    async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> A:
        try:
            return await call(_given(request), _token(context))
        except Exception as error:
            await _refuse(context, error)
            raise

    return answer


def _streamed(call: Callable[[Any, str], AsyncIterator[A]]) -> Callable[[Any, Any], AsyncIterator[A]]:
    async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[A]:
        try:
            async for each in call(_given(request), _token(context)):
                yield each
        except Exception as error:  # noqa: BLE001  the caller is told, never with a traceback
            await _refuse(context, error)

    return answer


def _given(request: Any) -> Any:
    if isinstance(request, TrainingServiceError):
        raise request
    return request


async def start_rpc(calls: TrainingCalls, host: str, port: int) -> tuple[grpc.aio.Server, int]:
    """The server, started, and its port (0 takes a free one). Raises ServingError TIP510."""
    server = grpc.aio.server(
        maximum_concurrent_rpcs=_AT_ONCE,
        options=[
            ("grpc.max_receive_message_length", _LARGEST),
            ("grpc.so_reuseport", 0),  # two services on one port would share it without a word
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.keepalive_time_ms", 60_000),  # who vanished holds nothing
            # clients may ask so often whether we live
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ],
    )
    server.add_generic_rpc_handlers([_handlers(calls)])
    reflection.enable_server_reflection((_SERVICE.full_name, reflection.SERVICE_NAME), server)
    try:
        bound = server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except RuntimeError as error:
        raise cannot_listen(host, port, error) from error
    if not bound:
        raise cannot_listen(host, port, OSError("the address is in use"))
    await server.start()
    return server, bound
