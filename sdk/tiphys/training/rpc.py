"""The training service over gRPC."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import grpc
import grpc.aio
from grpc_reflection.v1alpha import reflection

from tiphys.errors import TiphysError
from tiphys.net.server import cannot_listen
from tiphys.training.calls import TrainingCalls
from tiphys.training.convert import ERROR_KEY, status_of, told
from tiphys.training.proto import training_service_pb2 as wire
from tiphys.training.proto import training_service_pb2_grpc as generated

__all__ = ["start_rpc", "token_of"]

Q = TypeVar("Q")
A = TypeVar("A")
log = logging.getLogger("tiphys.training")
_SERVICE = wire.DESCRIPTOR.services_by_name["TrainingService"].full_name
_LARGEST = 1 << 20  # bytes of a message


def token_of(value: str) -> str:
    """The token of a header ``Bearer TOKEN``; empty for any other."""
    kind, _, token = value.partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _token(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            return token_of(value if isinstance(value, str) else value.decode("utf-8", "replace"))
    return ""


async def _refuse(context: grpc.aio.ServicerContext[Any, Any], error: BaseException) -> None:
    if not isinstance(error, TiphysError):
        log.error("a call of the training service", exc_info=error)
        await context.abort(grpc.StatusCode.INTERNAL, "an error of the service: its log says which")
    assert isinstance(error, TiphysError)
    status, _ = status_of(error)
    text = ". ".join(each for each in (f"{error.code}: {error.message}", error.cause, error.fix) if each)
    await context.abort(getattr(grpc.StatusCode, status), text, ((ERROR_KEY, told(error).encode()),))


class _Servicer(generated.TrainingServiceServicer):
    def __init__(self, calls: TrainingCalls) -> None:
        for name, call in {
            "Train": calls.train,
            "GetTrainingStatus": calls.status,
            "Cancel": calls.cancel,
            "List": calls.list,
            "CreateAlgorithmMapping": calls.create_algorithm,
            "UpdateAlgorithmVersion": calls.update_algorithm,
            "ListAlgorithms": calls.algorithms,
            "ListPools": calls.pools,
        }.items():
            setattr(self, name, _answered(call))
        streams: dict[str, Callable[[Any, str], AsyncIterator[Any]]] = {
            "WatchStatus": calls.watch,
            "Logs": calls.logs,
        }
        for name, stream in streams.items():
            setattr(self, name, _streamed(stream))


def _answered(call: Callable[[Any, str], Awaitable[A]]) -> Callable[[Any, Any], Awaitable[A]]:
    async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> A:
        try:
            return await call(request, _token(context))
        except Exception as error:
            await _refuse(context, error)
            raise

    return answer


def _streamed(call: Callable[[Any, str], AsyncIterator[A]]) -> Callable[[Any, Any], AsyncIterator[A]]:
    async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[A]:
        try:
            async for each in call(request, _token(context)):
                yield each
        except Exception as error:  # noqa: BLE001  the caller is told, never with a traceback
            await _refuse(context, error)

    return answer


async def start_rpc(calls: TrainingCalls, host: str, port: int) -> tuple[grpc.aio.Server, int]:
    """The server, started, and its port (0 takes a free one). Raises ServingError TIP510."""
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", _LARGEST),
            ("grpc.so_reuseport", 0),  # two services on one port would share it without a word
            ("grpc.keepalive_permit_without_calls", 1),
        ]
    )
    generated.add_TrainingServiceServicer_to_server(_Servicer(calls), server)  # type: ignore[no-untyped-call]
    reflection.enable_server_reflection((_SERVICE, reflection.SERVICE_NAME), server)
    try:
        bound = server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except RuntimeError as error:
        raise cannot_listen(host, port, error) from error
    if not bound:
        raise cannot_listen(host, port, OSError("the address is in use"))
    await server.start()
    return server, bound
