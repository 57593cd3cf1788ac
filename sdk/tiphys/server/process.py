"""The process: one store, one address, until it is told to end. Runs go on without it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.errors import RefusedError
from tiphys.net.server import cannot_listen
from tiphys.reference import contents
from tiphys.server.access import Access, kubeconfig, token_of
from tiphys.server.audit import Audit
from tiphys.server.certificate import own_certificate
from tiphys.server.rpc.door import Door
from tiphys.server.users import ServerUsers
from tiphys.store import Store
from tiphys.store.files import alone, clear

if TYPE_CHECKING:
    import uvicorn

    from tiphys.engine.base.options import RunOptions

__all__ = ["PORT", "Address", "listening", "serve"]

PORT = 6825
Beside = Callable[[], contextlib.AbstractAsyncContextManager[object]]
_DRAIN = 2  # seconds that answers have to end; watches are cut off


@dataclass(frozen=True)
class Address:
    """Where to listen. ``port``: 0 for a free one. ``names``: more names that clients may call the server by.
    ``certificate``, ``key``: files; without them it makes its own. ``plain``: without TLS."""

    host: str = "127.0.0.1"
    port: int = PORT
    names: Sequence[str] = ()
    certificate: str = ""
    key: str = ""
    plain: bool = False

    def check(self) -> None:
        """Raises RefusedError TIP277 for half of a certificate."""
        if bool(self.certificate) != bool(self.key) or (self.plain and self.certificate):
            raise RefusedError(
                "TIP277",
                "TLS needs a certificate and its key",
                fix="give both, or neither: the server makes a certificate of its own",
            )


@contextlib.contextmanager
def _only_one(store: Store, folder: Path) -> Iterator[None]:
    with clear(folder, "make"):
        folder.mkdir(parents=True, exist_ok=True)
    with alone(folder / "lock") as mine:
        if mine is None:
            raise RefusedError(
                "TIP278",
                "another server has this store",
                where=str(store.root),
                fix=f"its kubeconfig is {folder / 'kubeconfig'}; end it, or give another store",
            )
        yield


def serve(
    options: RunOptions,
    address: Address,
    report: Callable[[str, Path], None] = lambda url, file: None,
    *,
    beside: Sequence[Beside] = (),
) -> None:
    """Answer until SIGTERM or SIGINT. ``report`` is told the URL and the kubeconfig, once it answers. ``beside``: what
    else the process does as long as it answers.

    Raises
    ------
    RefusedError
        TIP252: ``users.toml`` is wrong; TIP277: half of a certificate; TIP278: another server has the store; TIP279:
        Starlette is not there.
    ServingError
        TIP510: the address cannot be had.
    """
    address.check()
    try:
        import uvicorn

        from tiphys.server.app import application
        from tiphys.server.clock import Clock
        from tiphys.server.desk import Desk
        from tiphys.server.mux import mux
    except ImportError as error:
        raise RefusedError(
            "TIP279",
            f"the server needs {error.name}, which is not installed",
            fix="pip install 'tiphys[server]'",
        ) from error
    store = Store(options.store)
    folder = store.root / "server"
    with _only_one(store, folder), contextlib.closing(listening(address)) as listener:
        token = token_of(folder)
        users = ServerUsers(token, folder / "users.toml")
        host, port = listener.getsockname()[:2]
        called = "127.0.0.1" if host in ("0.0.0.0", "::") else host
        shown = f"[{called}]" if ":" in called else called
        names = frozenset({"localhost", "127.0.0.1", "[::1]", shown, *address.names})
        certificate, key = address.certificate, address.key
        if not address.plain and not certificate:
            certificate, key = (str(path) for path in own_certificate(folder, names))
        url = f"{'http' if address.plain else 'https'}://{shown}:{port}"
        authority = contents(Path(certificate)) if certificate else b""
        file = kubeconfig(folder, url, token, options.namespace, ca=authority)
        desk = Desk(options)
        ending = asyncio.Event()
        answering = application(desk, Access(users, names), ending, Audit(folder / "audit.jsonl"))
        door = Door(answering, host="localhost")
        config = uvicorn.Config(
            answering,
            http=mux(door.socket),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_DRAIN,
            ssl_certfile=certificate or None,
            ssl_keyfile=key or None,
            server_header=False,
        )
        desk.board.start()
        clock = Clock(desk)
        clock.start()
        desk.submissions.forks.begin()
        desk.submissions.prepare()
        try:
            report(url, file)
            asyncio.run(_answer(uvicorn.Server(config), listener, door, ending, beside))
        finally:
            clock.close()
            desk.submissions.forks.close()
            desk.board.close()
            desk.archive.close()


async def _answer(
    server: uvicorn.Server,
    listener: socket.socket,
    door: Door,
    ending: asyncio.Event,
    beside: Sequence[Beside],
) -> None:
    """Answer until told to end, which is no failure: uvicorn itself would die of the signal in the end."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        server.should_exit = True
        ending.set()

    @contextlib.contextmanager
    def signals() -> Iterator[None]:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
        yield

    server.capture_signals = signals  # type: ignore[method-assign]  # it has no option for that
    from tiphys.server.mux import ALPN

    server.config.load()
    if server.config.ssl is not None:
        server.config.ssl.set_alpn_protocols(ALPN)
    try:
        async with contextlib.AsyncExitStack() as stack:
            for each in beside:
                await stack.enter_async_context(each())
            await server.serve([listener])
    finally:
        await door.close()


def listening(address: Address) -> socket.socket:
    """A socket that clients can connect to. Raises ServingError TIP510 where the address cannot be had."""
    try:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        listener = socket.create_server((address.host, address.port), family=family, backlog=512)
        # asyncio does it for sockets that it makes itself; without it each answer waits 40 ms for the client's ACK
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        raise cannot_listen(address.host, address.port, error) from error
