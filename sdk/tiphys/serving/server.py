"""The model server: models behind TensorFlow Serving's REST API."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from tiphys.errors import ServingError
from tiphys.net import HttpLimits, HttpRequest, HttpResponse, HttpServer
from tiphys.net.server import cannot_listen
from tiphys.serving.balancer.facade import LoopThread
from tiphys.serving.balancer.pin import VersionPin
from tiphys.serving.loading import load as load_saved_model
from tiphys.serving.model.batching import BatchParameters
from tiphys.serving.model.manager import Manager, ModelConfig
from tiphys.serving.model.servable import Code, Loader, ModelError
from tiphys.serving.rest.api import RestApi
from tiphys.serving.rpc.frames import is_call
from tiphys.serving.rpc.over_http import CallsOverHttp
from tiphys.serving.rpc.service import GrpcApi, GrpcServer, installed

__all__ = ["AsyncModelServer", "ModelServer", "ServerConfig"]

log = logging.getLogger("tiphys.serving")


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """What a model server does. Times in seconds, sizes in bytes."""

    models: list[ModelConfig]
    host: str = "0.0.0.0"
    port: int = 8501
    grpc_port: int | None = None
    """None: no gRPC by itself (:mod:`tiphys.serving.rpc.over_http` is there in any case); 0: a free port."""
    grpc_arguments: Sequence[tuple[str, int | str]] = ()
    """Channel arguments of the gRPC server."""
    loader: Loader = load_saved_model
    timeout: float | None = 30.0
    poll_seconds: float = 1.0
    batching: BatchParameters | None = None
    cors: bool = False
    metrics_path: str = "/monitoring/prometheus/metrics"
    max_load_retries: int = 5
    retry_seconds: float = 60.0
    drain_seconds: float = 30.0
    reload: Callable[[], list[ModelConfig]] | None = None
    """Reads the models anew every ``reload_seconds``; what it raises is logged and changes nothing."""
    reload_seconds: float = 0.0
    limits: HttpLimits = field(default_factory=HttpLimits)
    kserve: bool = False
    """KServe's V1 where that and TensorFlow Serving's API differ (:mod:`tiphys.serving.rest.kserve`)."""


class AsyncModelServer:
    """On an event loop. ``start`` returns when the first versions answer, as the real one starts to listen
    only then: a connection that is taken is a model that is ready."""

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.manager = Manager(
            config.models,
            config.loader,
            batching=config.batching,
            poll_seconds=config.poll_seconds,
            max_load_retries=config.max_load_retries,
            retry_seconds=config.retry_seconds,
            alone=lambda: self._busy() < 2,
        )
        self.api = RestApi(
            self.manager,
            timeout=config.timeout,
            cors=config.cors,
            metrics_path=config.metrics_path,
            max_body_bytes=config.limits.body_bytes,
            kserve=config.kserve,
        )
        self._grpc_api = GrpcApi(self.manager, self.api.metrics, self.api.lane)
        self._calls = CallsOverHttp(
            self._grpc_api, max_message_bytes=config.limits.body_bytes, pin_of=VersionPin.of_header
        )
        self.http = HttpServer(
            self._answer,
            config.host,
            config.port,
            limits=config.limits,
            on_error=lambda error: log.error("a request failed", exc_info=error),
        )
        self.grpc: GrpcServer | None = None
        self._reloader: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        return self.http.port

    async def start(self) -> None:
        """Raises ServingError TIP510 (cannot listen; found before loading) or TIP516 (cannot load)."""
        await self.http.bind()
        self._probe_grpc_port()
        try:
            await self.manager.start()
        except ModelError as error:
            await self.close()
            raise ServingError(
                "TIP516",
                "The model cannot be served.",
                cause=str(error),
                fix="The base path must hold folders named by numbers, each a SavedModel."
                if error.code in (Code.NOT_FOUND, Code.INVALID_ARGUMENT)
                else "",
            ) from error
        await self.http.listen()
        log.info("REST API at %s:%d", self.http.host, self.http.port)
        await self._start_grpc()
        if self.config.reload is not None and self.config.reload_seconds > 0:
            self._reloader = asyncio.get_running_loop().create_task(self._reload_forever(self.config.reload))

    async def _reload_forever(self, read: Callable[[], list[ModelConfig]]) -> None:
        current = self.config.models
        while True:
            await asyncio.sleep(self.config.reload_seconds)
            try:
                fresh = await asyncio.to_thread(read)
                if fresh != current:
                    current = fresh
                    await self.manager.reconfigure(fresh)
                    log.info("new configuration: %s", ", ".join(model.name for model in fresh))
            except Exception as error:  # noqa: BLE001 - the old configuration goes on
                log.error("the new configuration cannot be used: %s", error)

    def _answer(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        return self._calls(request) if is_call(request) else self.api(request)

    def _busy(self) -> int:
        """Requests and calls that have come and are not answered."""
        return self.http.busy + (self.grpc.busy if self.grpc is not None else 0)

    def _probe_grpc_port(self) -> None:
        """Find out early that the port is taken: grpcio is imported only when the models are loaded."""
        port = self.config.grpc_port
        if port:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((self.config.host, port))
                except OSError as error:
                    raise cannot_listen(self.config.host, port, error) from error

    async def _start_grpc(self) -> None:
        config = self.config
        if config.grpc_port is None:
            return
        if not installed():
            log.warning("no gRPC API: grpcio is not installed")
            return
        server = GrpcServer(
            self._grpc_api,
            config.host,
            config.grpc_port,
            max_message_bytes=config.limits.body_bytes,
            arguments=config.grpc_arguments,
        )
        try:
            await server.start()
        except (RuntimeError, OSError) as error:
            await self.close()
            raise cannot_listen(config.host, config.grpc_port, error) from error
        self.grpc = server
        log.info("gRPC API at %s:%d", server.host, server.port)

    async def close(self) -> bool:
        """Drain and end. True when no request had to be cut off."""
        if self._reloader is not None:
            self._reloader.cancel()
        if self.grpc is not None:
            clean, _ = await asyncio.gather(
                self.http.stop(self.config.drain_seconds), self.grpc.stop(self.config.drain_seconds)
            )
        else:
            clean = await self.http.stop(self.config.drain_seconds)
        self.api.close()
        await self.manager.close()
        return clean


class ModelServer:
    """The same for callers without an event loop, in its own thread: for tests and notebooks."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._thread: LoopThread | None = None
        self._server: AsyncModelServer | None = None

    @property
    def url(self) -> str:
        host = "127.0.0.1" if self._config.host == "0.0.0.0" else self._config.host
        return f"http://{host}:{self._server.port if self._server is not None else self._config.port}"

    @property
    def address(self) -> str:
        """``host:port``, as a balancer's endpoint."""
        return self.url.removeprefix("http://")

    @property
    def grpc_address(self) -> str:
        """``host:port`` of the gRPC API; empty when there is none."""
        grpc = self._server.grpc if self._server is not None else None
        return f"{grpc.host}:{grpc.port}" if grpc is not None else ""

    @property
    def manager(self) -> Manager:
        if self._server is None:
            raise ServingError("TIP517", "The server is not started.")
        return self._server.manager

    def start(self) -> ModelServer:
        thread = LoopThread("model-server")

        async def begin() -> AsyncModelServer:
            server = AsyncModelServer(self._config)
            await server.start()
            return server

        try:
            self._server = thread.run(begin())
        except BaseException:
            thread.close()
            raise
        self._thread = thread
        return self

    def poll(self) -> None:
        """Read the base paths now instead of waiting for the next time."""
        server, thread = self._server, self._thread
        if server is None or thread is None:
            return

        async def work() -> None:
            await asyncio.gather(*(server.manager.poll(model) for model in server.manager.models.values()))

        thread.run(work())

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine on the server's loop."""
        if self._thread is None:
            raise ServingError("TIP517", "The server is not started.")
        return self._thread.run(coroutine)

    def stop(self) -> bool:
        if self._server is None or self._thread is None:
            return True
        clean = self._thread.run(self._server.close())
        self._thread.close()
        self._server = self._thread = None
        return clean

    def __enter__(self) -> ModelServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
