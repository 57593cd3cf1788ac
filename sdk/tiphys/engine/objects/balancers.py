"""The one process with the load balancers of a run's Services and routes, and how they ask it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from tiphys.engine.pods.environment import base_environment
from tiphys.engine.pods.host import Host
from tiphys.engine.runners.network import NetworkLost
from tiphys.engine.runners.spawner import Launch, Process

if TYPE_CHECKING:
    from tiphys.serving.balancer import BalancerProcess

    _Request: TypeAlias = tuple[
        Callable[[BalancerProcess], object], Callable[[], None], Callable[[BaseException], None]
    ]

__all__ = ["Balancers"]


class Balancers:
    """The one process that holds every balancer of the run; requests to it go one after another, in threads."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.control = host.folder / "balancer.sock"
        self._process: Process | None = None
        self._client: BalancerProcess | None = None
        self._queue: list[_Request] = []
        self._busy = False
        self.stopped = False

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    def ask(
        self,
        work: Callable[[BalancerProcess], object],
        done: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Do ``work`` with the balancer process, then ``done`` in the loop."""
        self._queue.append((work, done, failed))
        self._next()

    def release(self) -> None:
        if self._process is not None:
            self._process.release()

    def _next(self) -> None:
        if self._busy or not self._queue or self.stopped:
            return
        self._busy = True
        work, done, failed = self._queue.pop(0)

        def task() -> object:
            return work(self._connect())

        def over(_: object) -> None:
            self._busy = False
            done()
            self._next()

        def wrong(error: BaseException) -> None:
            self._busy = False
            failed(error)
            self._next()

        try:
            if self._process is None:
                self._start()
        except NetworkLost as error:
            lost = error
            self.host.loop.call_soon(lambda: wrong(lost))
            return
        self.host.loop.in_thread(task, over, wrong)

    def _start(self) -> None:
        self.control.unlink(missing_ok=True)
        env = base_environment()
        env["PYTHONUNBUFFERED"] = "1"
        launch = Launch(
            sys.executable,
            [sys.executable, "-m", "tiphys.serving.balancer", "--control", str(self.control)],
            env,
            str(self.host.folder),
            self.host.log_path("balancer"),
        )
        self._process = self.host.spawner.spawn(self.host.network.joined(launch), self._ended)

    def _ended(self, process: Process) -> None:
        self._process = None
        self._client = None

    def _connect(self) -> BalancerProcess:
        """In a thread: the client, once the process answers."""
        from tiphys.errors import ServingError
        from tiphys.serving.balancer import BalancerProcess

        deadline = time.monotonic() + 30
        while self._client is None:
            try:
                self._client = BalancerProcess.attach(self.control)
            except ServingError:
                if time.monotonic() > deadline or self.stopped:
                    raise
                time.sleep(0.02)
        return self._client
