"""gRPC without grpcio: a replica's calls on the port of its REST API, from a balancer that ends HTTP/2."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from tiphys.serving.model.servable import Code, ModelError
from tiphys.serving.rpc import frames
from tiphys.serving.rpc.service import answered

if TYPE_CHECKING:
    from tiphys.net import HttpRequest, HttpResponse
    from tiphys.serving.rpc.service import GrpcApi, Handler

__all__ = ["CallsOverHttp"]

log = logging.getLogger("tiphys.serving")


class MessagePin(Protocol):
    """What a balancer names: :class:`tiphys.serving.balancer.pin.VersionPin`."""

    def message(self, method: str, data: bytes) -> bytes: ...


class CallsOverHttp:
    """Answers requests that are calls (:func:`frames.is_call`) of a :class:`GrpcApi`, one message each way. ``pin_of``:
    what a balancer names, from the word that it says."""

    def __init__(
        self, api: GrpcApi, *, max_message_bytes: int, pin_of: Callable[[str], MessagePin | None]
    ) -> None:
        self._most, self._pin_of = max_message_bytes, pin_of
        self._calls = {
            f"/{service}/{name}": call
            for service, calls in api.calls().items()
            for name, call in calls.items()
        }

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            call = self._calls.get(request.path)
            if call is None:
                raise ModelError(Code.UNIMPLEMENTED, "Method not found!")
            seconds = frames.seconds_of(request)
            data = await frames.message_of(request, self._most)
            try:
                async with asyncio.timeout(seconds) as clock:
                    return frames.answer(await answered(self._pinned(call, request), data, seconds))
            except TimeoutError:
                if not clock.expired():
                    raise
                raise ModelError(Code.DEADLINE_EXCEEDED, "Deadline Exceeded") from None
        except ModelError as error:
            return frames.refusal(error.code, error.message)
        except Exception as error:
            log.exception("a call failed")
            return frames.refusal(Code.UNKNOWN, f"Internal error: {type(error).__name__}")

    def _pinned(self, call: Handler, request: HttpRequest) -> Handler:
        """The call, told of the version that a balancer names to who names none."""
        header = request.header(frames.PIN_HEADER)
        pin = self._pin_of(header.decode("latin-1")) if header is not None else None
        if pin is None:
            return call

        async def named(data: bytes, timeout: float | None) -> bytes:
            return await call(pin.message(request.path, data), timeout)

        return named
