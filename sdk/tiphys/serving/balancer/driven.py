"""A program in front of the built-in balancer: it takes what is small and common by itself.

What it cannot do as the built-in balancer does, it hands to that one, which stands behind it. What is the same for
every such program is here: that it lives as long as whoever started it, is started again, and which versions it names.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from tiphys.errors import ServingError
from tiphys.net.server import cannot_listen
from tiphys.serving.balancer.core import Settings
from tiphys.serving.balancer.endpoint import parse_endpoints
from tiphys.serving.balancer.facade import Balancer
from tiphys.serving.guard import Guard

if TYPE_CHECKING:
    from tiphys.serving.balancer.endpoint import Endpoints
    from tiphys.serving.balancer.pin import VersionPin

__all__ = ["BACKENDS", "ERRORS", "LARGE", "DrivenBalancer", "end", "numeric", "start_tied", "whole_of"]

BACKENDS = ("a", "b", "c")
"""Each has all replicas and names a version of its own, so that what is on its way of a version is counted."""
ERRORS = {
    400: "Malformed request",
    408: "The request did not come in time",
    502: "The replica broke off",
    503: "No endpoint available",
    504: "No answer in time",
}
"""What a program says where it has no answer of a replica."""
LARGE = 16384
"""Bytes of a body: more is not kept until the answer has come, and is handed on."""
_START_SECONDS = 10.0
_SAID = 1024 * 1024  # bytes of what it said that are kept
_LOOK = 0.1  # seconds between two looks whether it lives, and whether a version is done with
# while it waits, a line is "end well", and the end of the file that whoever started it has ended, in whatever way
_START = 'exec {0}<&0; (read -r _ <&{0} || kill -{1} $$) & exec {0}<&-; exec "$@" </dev/null'


def whole_of(backend: str) -> str:
    """Where a program hands on what it would tell this backend, to the balancer which holds requests whole."""
    return f"{backend}_whole"


class DrivenBalancer(ABC):
    """As :class:`Balancer`, for one model; all methods may be called from any thread."""

    name: ClassVar[str]
    """The program's."""
    fix: ClassVar[str]
    """Where it is not what is needed."""
    ending: ClassVar[signal.Signals]
    """What ends it when nobody waits for it any more."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        program: str,
        model: str,
        policy: str,
        health_path: str | None,
        settings: Settings | None,
        whole_policy: str = "",
        grpc_port: int | None = None,
    ) -> None:
        self.host, self._model = host, model
        self._ports = [port] if grpc_port is None else [port, grpc_port]
        self._policy, self._health_path = policy, health_path
        self._settings = settings or Settings()
        self._program = program
        guard = self._settings.guard
        # TLS ends before it; nobody comes to it by itself without the token
        inner = replace(
            self._settings,
            guard=Guard(None, guard.token),
            limits=replace(self._settings.limits, refused_late=True),
            behind=True,
        )
        self._whole = Balancer(
            "127.0.0.1", 0, policy=whole_policy or policy, health_path=health_path, settings=inner
        )
        self._listeners: list[socket.socket] = []  # of HTTP and, where it is answered, of gRPC
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path()
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name=f"tiphys-{self.name}", daemon=True)
        self._endpoints: dict[str, float] = {}
        self._pins: dict[str, VersionPin | None] = dict.fromkeys(BACKENDS)
        self._done_with: list[str] = []  # backends of which requests may be on their way
        self._now = BACKENDS[0]

    @property
    def port(self) -> int:
        return self._listening()[0]

    @property
    def url(self) -> str:
        return f"http{'s' if self._settings.guard.tls is not None else ''}://{self.host}:{self.port}"

    @property
    def grpc_address(self) -> str:
        """``HOST:PORT`` of gRPC; empty without."""
        return "".join(f"{self.host}:{port}" for port in self._listening()[1:])

    def _listening(self) -> list[int]:
        return [int(each.getsockname()[1]) for each in self._listeners] or self._ports

    @property
    def pid(self) -> int:
        """Of the program; 0 while it does not run."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> Self:
        """Listen. It is bound when this returns."""
        if self._listeners:
            return self
        with contextlib.ExitStack() as stack:
            made = [stack.enter_context(self._bound(port)) for port in self._ports]
            stack.pop_all()
        self._folder = Path(tempfile.mkdtemp(prefix=f"tiphys-{self.name.lower()}-"))
        self._listeners = made
        try:
            self._whole.start()
            with self._lock:
                self._begin()
        except BaseException:
            self._let_go()
            raise
        self._watcher.start()
        return self

    def set_endpoints(self, endpoints: Endpoints) -> None:
        """Use exactly these from the next request on, with these weights. Those that left end what they are doing."""
        wanted = parse_endpoints(endpoints)
        self._look_over(wanted)
        with self._lock:
            self._endpoints = wanted
            self._whole.set_endpoints(wanted)
            self._change(self._apply)

    def pin(self, pin: VersionPin | None) -> None:
        """Name this version to the replicas, from the next request on, where a request names none; None: none is
        named."""
        with self._lock:
            before = self._pins[self._now]
            if before is not None:
                before.__enter__()  # until nothing is on its way any more
            self._done_with.append(self._now)
            free = [each for each in BACKENDS if each not in self._done_with]
            # more changes than backends, faster than requests end: the oldest is used again, and waits for both
            self._now = free[0] if free else self._done_with.pop(0)
            if not free and (again := self._pins[self._now]) is not None:
                again.__exit__()
            self._pins[self._now] = pin
            self._whole.pin(pin)
            self._change(self._name)

    def stop(self, drain_seconds: float = 10.0) -> bool:
        """Drain and close. True when no request had to be cut off."""
        if not self._listeners:
            return True
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join()
        clean = True
        with self._lock:
            process, self._process = self._process, None
            for each in self._listeners:
                each.close()
            if process is not None:
                clean = self._end(process, drain_seconds)
        clean = self._whole.stop(drain_seconds) and clean
        self._let_go()
        return clean

    # ---- what a program does
    @abstractmethod
    def _look_over(self, endpoints: dict[str, float]) -> None:
        """Raises ServingError TIP512 for endpoints that it cannot have."""

    @abstractmethod
    def _listen(self, port: int) -> socket.socket:
        """A socket that holds the address. Raises OSError."""

    @abstractmethod
    def _prepare(self) -> list[str]:
        """Write what it reads as it starts; the command."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it can be driven by now."""

    @abstractmethod
    def _started(self) -> None:
        """It answers: tell it what it could not read. Raises ServingError TIP531."""

    @abstractmethod
    def _apply(self) -> None:
        """Tell it the endpoints. Raises ServingError TIP531."""

    @abstractmethod
    def _name(self) -> None:
        """Tell it what is named, and which backend is asked. Raises ServingError TIP531."""

    @abstractmethod
    def _over(self, backends: Collection[str]) -> Iterable[str]:
        """Those of which no request is on its way any more. Raises ServingError TIP531."""

    @abstractmethod
    def _end(self, process: subprocess.Popen[bytes], seconds: float) -> bool:
        """Let it end what it does; False when it had to be killed."""

    def _inherited(self) -> Sequence[int]:
        """Descriptors that it gets."""
        return ()

    def _bound(self, port: int) -> socket.socket:
        try:
            return self._listen(port)
        except OSError as error:
            raise cannot_listen(self.host, port, error) from error

    def _look(self) -> None:
        """Again and again, while it runs. Raises ServingError TIP531 when it does not do what it should."""
        if self._done_with:
            self._forget(*self._over(self._done_with))

    # ---- the process
    def _change(self, work: Callable[[], object]) -> None:
        """Do it, if it runs. When it does not do what it is told it is ended, and started again with all that holds."""
        if self._process is None:
            return
        try:
            work()
        except ServingError as error:
            if error.code != "TIP531":
                raise
            self._process.kill()
            self._process.wait()

    def _begin(self) -> None:
        """Start it with what holds now."""
        if not self._program:
            raise self._not_started("it is not installed")
        command = [self._program, *self._prepare()]
        said = self._folder / "said"
        try:
            said.unlink(missing_ok=True)
            with said.open("ab") as output:
                self._process = start_tied(
                    command, output.fileno(), self._inherited(), self.ending.name.removeprefix("SIG")
                )
        except OSError as error:
            raise self._not_started(str(error)) from error
        until = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                self._kill()
                raise self._not_started(said.read_text("utf-8", "replace").strip()[-1000:])
            self._stopping.wait(0.02)
        try:
            self._started()
        except BaseException:
            self._kill()
            raise

    def _kill(self) -> None:
        if self._process is not None:
            end(self._process, self.ending, 0.0)
            self._process = None

    def _watch(self) -> None:
        """Start it again when it ends; see when nothing of an earlier version is on its way."""
        while not self._stopping.wait(_LOOK):
            with self._lock, contextlib.suppress(ServingError, OSError):
                if self._process is not None and self._process.poll() is not None:
                    self._kill()
                if self._process is None:  # it ended with all that was on its way
                    self._forget(*self._done_with)
                    self._begin()
                if (said := self._folder / "said").stat().st_size > _SAID:
                    os.truncate(said, 0)
                self._change(self._look)

    def _forget(self, *backends: str) -> None:
        for each in backends:
            self._done_with.remove(each)
            if (pin := self._pins[each]) is not None:
                pin.__exit__()
            self._pins[each] = None

    def _let_go(self) -> None:
        for pin in (self._pins[each] for each in self._done_with):
            if pin is not None:
                pin.__exit__()
        self._done_with.clear()
        for each in self._listeners:
            each.close()
        self._listeners = []
        self._whole.stop(0.0)
        shutil.rmtree(self._folder, ignore_errors=True)

    # ---- what is wrong
    def _not_started(self, why: str) -> ServingError:
        return ServingError(
            "TIP531",
            f"{self.name} does not start.",
            where=self._program,
            cause=why,
            fix=f"{self.fix}, or use the built-in driver.",
        )

    def _silent(self, why: str) -> ServingError:
        return ServingError(
            "TIP531", f"{self.name} does not do what it is told.", cause=why, fix=f"{self.fix}."
        )


def start_tied(
    command: Sequence[str], output: int, inherited: Sequence[int], ending: str
) -> subprocess.Popen[bytes]:
    """Start what ends with this process, in whatever way that ends. ``ending``: the name of the signal that it gets
    then. :func:`end` ends it."""
    free = next(each for each in range(3, 10) if each not in inherited)  # a shell's have one digit
    return subprocess.Popen(
        ["/bin/sh", "-c", _START.format(free, ending), "tied", *command],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        pass_fds=inherited,
        start_new_session=True,
    )


def end(process: subprocess.Popen[bytes], number: signal.Signals, seconds: float) -> bool:
    """Send it this signal, and wait so long until it has ended; False when it had to be killed."""
    clean = True
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            clean = False
            process.kill()
            process.wait()
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.write(b"\n")
        process.stdin.close()
    return clean


def numeric(host: str, port: int) -> str:
    """The address of a host, as a program wants it. Raises ServingError TIP512 for one that has none."""
    try:
        return str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise ServingError("TIP512", f"{host!r} has no address.", cause=str(error)) from error
