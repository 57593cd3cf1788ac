"""The process of the training service: one store, one address for gRPC and one for REST, until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
from collections.abc import AsyncIterator, Callable, Iterator

from tiphys.errors import TrainingServiceError
from tiphys.net.server import HttpLimits, HttpServer
from tiphys.store.files import alone
from tiphys.store.layout import Store
from tiphys.training.service import TrainingService

__all__ = ["RPC_PORT", "answering", "check_host", "is_private", "only_one", "serve"]

RPC_PORT = 6823
"""Of gRPC; REST is at the next one."""
_DRAIN = 10.0  # seconds that calls have to end
_LIMITS = HttpLimits(body_bytes=1 << 20, buffered_bytes=64 << 20)


@contextlib.contextmanager
def only_one(store: Store) -> Iterator[None]:
    """Hold the store's queue. Raises TrainingServiceError TIP823 while another service does."""
    store.root.mkdir(parents=True, exist_ok=True)
    path = store.root / "training.lock"
    with alone(path) as mine:
        if mine is None:
            raise TrainingServiceError(
                "TIP823",
                "another training service has this store",
                where=str(path),
                cause="the queue of a store has one writer",
                fix="end the other one, or give this one a store of its own with --store",
            )
        yield


def is_private(host: str) -> bool:
    """Whether only programs of this machine reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_host(host: str, service: TrainingService) -> None:
    """Raises TrainingServiceError TIP824 for an address that others reach, while nobody needs a token."""
    if not is_private(host) and not service.rules().users:
        raise TrainingServiceError(
            "TIP824",
            f"{host} can be reached from elsewhere, and nobody needs a token",
            cause="training.toml names no users: everybody would be you, and could run any program here",
            fix="name users with tokens (tiphys training-service --new-token), or listen on 127.0.0.1",
        )


def serve(
    service: TrainingService,
    *,
    host: str = "127.0.0.1",
    port: int = RPC_PORT,
    rest_port: int = RPC_PORT + 1,
    report: Callable[[str], None] = lambda _: None,
) -> None:
    """Answer until SIGTERM or SIGINT, then let calls end, and close the service. ``port``, ``rest_port``: 0 takes one
    that is free.

    Raises ServingError TIP510 when an address cannot be had, TrainingServiceError TIP824.
    """
    try:
        check_host(host, service)
        asyncio.run(_serve(service, host, port, rest_port, report))
    finally:
        service.close()


@contextlib.asynccontextmanager
async def answering(service: TrainingService, host: str, port: int, rest_port: int) -> AsyncIterator[str]:
    """Answer while the block goes on, which is told where; then let calls end. Raises ServingError TIP510."""
    from tiphys.training.calls import TrainingCalls
    from tiphys.training.rest import TrainingRest
    from tiphys.training.rpc import start_rpc

    calls = TrainingCalls(service, private=is_private(host))
    http = HttpServer(TrainingRest(calls), host, rest_port, limits=_LIMITS)
    await http.bind()
    rpc, bound = await start_rpc(calls, host, port)
    await http.listen()
    service.start()
    try:
        yield f"gRPC on {host}:{bound}, REST on http://{host}:{http.port}"
    finally:
        calls.close()
        await asyncio.gather(http.stop(_DRAIN), rpc.stop(_DRAIN))


async def _serve(
    service: TrainingService, host: str, port: int, rest_port: int, report: Callable[[str], None]
) -> None:
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(ValueError, RuntimeError):  # not in the main thread
            loop.add_signal_handler(number, over.set)
    async with answering(service, host, port, rest_port) as told:
        report(f"training service: {told}")
        await over.wait()
        report("training service: ending; what runs goes on")
