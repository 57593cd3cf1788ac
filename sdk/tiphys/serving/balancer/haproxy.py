"""HAProxy in front, where it is installed: the same balancer for a third to a half of the CPU time.

It takes what is small and common by itself. What it cannot do as the built-in balancer does, it hands to that one,
which stands behind it: what may not run twice, a body that it could not send a second time, and everything while no
replica is ready, which is held. Of gRPC it ends HTTP/2, and the replicas get each call as a request.
Endpoints, weights and the version that is named change while it runs, by its runtime API (HAProxy Management Guide,
9.3); no connection is closed for that.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.errors import ServingError
from tiphys.net.server import cannot_listen
from tiphys.serving.balancer.core import Settings
from tiphys.serving.balancer.endpoint import EndpointState, parse_address, parse_endpoints
from tiphys.serving.balancer.facade import Balancer
from tiphys.serving.balancer.haproxy_text import BACKENDS, FRONTENDS, SLOTS, UNNAMED, configuration
from tiphys.serving.balancer.pin import PLACES
from tiphys.serving.guard import Guard

if TYPE_CHECKING:
    from tiphys.serving.balancer.core import EndpointStats, Stats
    from tiphys.serving.balancer.endpoint import Endpoints
    from tiphys.serving.balancer.pin import VersionPin

__all__ = ["HaproxyBalancer", "haproxy"]

_STATES = {"DOWN": EndpointState.UNHEALTHY, "MAINT": EndpointState.DRAINING, "DRAIN": EndpointState.DRAINING}
_START_SECONDS = 10.0
_ANSWER = 10.0  # seconds
_SAID = 1024 * 1024  # bytes of what it said that are kept
_LOOK = 0.1  # seconds between two looks whether it lives, and whether a version is done with
# while it waits, a line is "end well", and the end of the file that whoever started it has ended, in whatever way
_START = 'exec {0}<&0; (read -r _ <&{0} || kill -USR1 $$) & exec {0}<&-; exec "$@" </dev/null'


def haproxy() -> str | None:
    """Where the program is, or None."""
    found = shutil.which("haproxy")
    if found is None and os.access("/usr/sbin/haproxy", os.X_OK):  # not in the PATH of a plain user
        return "/usr/sbin/haproxy"
    return found


class HaproxyBalancer:
    """As :class:`Balancer`, for one model; all methods may be called from any thread.

    ``grpc_port``: it answers gRPC there, too, which the replicas get as HTTP/1.1
    (:mod:`tiphys.serving.rpc.over_http`); None: it does not.
    ``policy`` is ``"round-robin"`` or ``"least-request"``. At most :data:`SLOTS` endpoints. An answer that a replica
    breaks off in its middle reaches the client as it is: it is not held.

    Errors: ServingError TIP510 (cannot listen), TIP511 (a policy that it has not), TIP512 (bad endpoint address),
    TIP531 (HAProxy is not there, or does not start).
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        model: str,
        policy: str = "round-robin",
        health_path: str | None = None,
        settings: Settings | None = None,
        grpc_port: int | None = None,
    ) -> None:
        self.host, self._model = host, model
        self._ports = [port] if grpc_port is None else [port, grpc_port]
        self._policy, self._health_path = policy, health_path
        self._settings = settings or Settings()
        self._program = haproxy() or ""
        guard = self._settings.guard
        # TLS ends before it; nobody comes to it by itself without the token
        inner = replace(
            self._settings,
            guard=Guard(None, guard.token),
            limits=replace(self._settings.limits, refused_late=True),
        )
        self._whole = Balancer("127.0.0.1", 0, policy=policy, health_path=health_path, settings=inner)
        self._listeners: list[socket.socket] = []  # of HTTP and, where it is answered, of gRPC
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path()
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="tiphys-haproxy", daemon=True)
        self._endpoints: dict[str, float] = {}
        self._slots: dict[str, int] = {}
        self._free = deque(range(1, SLOTS + 1))
        self._before: dict[int, tuple[int, int]] = {}  # requests and failures of who had a slot earlier
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
        """Of HAProxy; 0 while it does not run."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> HaproxyBalancer:
        """Listen. It is bound when this returns."""
        if self._listeners:
            return self
        with contextlib.ExitStack() as stack:
            made = [stack.enter_context(_listen(self.host, port)) for port in self._ports]
            stack.pop_all()
        self._folder = Path(tempfile.mkdtemp(prefix="tiphys-haproxy-"))
        self._listeners = made
        self._whole.start()
        try:
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
        if len(wanted) > SLOTS:
            raise ServingError(
                "TIP512",
                f"{len(wanted)} endpoints.",
                fix=f"HAProxy is set up for {SLOTS}; use the built-in driver.",
            )
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
            self._change(lambda: self._tell(*self._names()))

    def stats(self) -> Stats:
        """Requests, errors, retries, and for each endpoint its state, load and failures. Raises ServingError TIP531
        when HAProxy does not answer."""
        inner = self._whole.stats()
        with self._lock:
            slots = {number: address for address, number in self._slots.items()}
            rows = self._rows() if self._process is not None else []
        fronts = [row for row in rows if row["svname"] == "FRONTEND" and row["# pxname"] in FRONTENDS]
        known: dict[str, EndpointStats] = {each["address"]: each for each in inner["endpoints"]}
        retries = inner["retries"]
        for row in rows:
            if row["svname"] == "BACKEND" and row["# pxname"] in BACKENDS:
                retries += int(row["wretr"] or 0) + int(row["wredis"] or 0)
            number = row["svname"].removeprefix("r")
            if not number.isdigit() or (address := slots.get(int(number))) is None or address not in known:
                continue
            found = known[address]
            found["active"] += int(row["scur"] or 0)
            found["requests"] += int(row["stot"] or 0)
            found["failures"] += _failures(row)
            if (
                row["# pxname"] == self._now
                and (state := _STATES.get(row["status"].split(" ")[0])) is not None
            ):
                found["state"] = state.value
        for slot, address in slots.items():
            if address in known:
                requests, failures = self._before.get(slot, (0, 0))
                known[address]["requests"] -= requests
                known[address]["failures"] -= failures
        return {
            "requests": sum(int(each["req_tot"] or 0) for each in fronts),
            "errors": sum(int(each["hrsp_5xx"] or 0) for each in fronts),
            "retries": retries,
            "connections": sum(int(each["scur"] or 0) for each in fronts),
            "shadow": inner["shadow"],
            "endpoints": [*known.values()],
        }

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
                clean = _end(process, drain_seconds)
        clean = self._whole.stop(drain_seconds) and clean
        self._let_go()
        return clean

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

    def _begin(self) -> None:
        """Start it with what holds now."""
        descriptors = [each.fileno() for each in self._listeners]
        names = self._folder / "names"
        names.write_text("".join(f"{key} {value}\n" for key, value in self._names_now().items()))
        guard = self._settings.guard
        certificate = None
        if guard.pem is not None:
            certificate = self._folder / "certificate.pem"
            certificate.touch(mode=0o600)
            certificate.write_bytes(b"\n".join((guard.pem[1], guard.pem[0])))
        text = self._folder / "haproxy.cfg"
        text.touch(mode=0o600)  # it has the token
        text.write_text(
            configuration(
                model=self._model,
                policy=self._policy,
                listener=descriptors[0],
                calls=descriptors[1] if len(descriptors) > 1 else None,
                whole=f"127.0.0.1:{self._whole.port}",
                names=names,
                control=self._control,
                health_path=self._health_path,
                certificate=certificate,
                settings=self._settings,
            )
        )
        self._control.unlink(missing_ok=True)
        said = self._folder / "said"
        command = [self._program, "-db", "-f", str(text)]
        free = next(each for each in range(3, 10) if each not in descriptors)  # a shell's have one digit
        try:
            said.unlink(missing_ok=True)
            with said.open("ab") as output:
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", _START.format(free), "haproxy", *command],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    pass_fds=descriptors,
                    start_new_session=True,
                )
        except OSError as error:
            raise _not_started(self._program, str(error)) from error
        until = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                _end(self._process, 0.0)
                self._process = None
                raise _not_started(self._program, said.read_text("utf-8", "replace").strip()[-1000:])
            self._stopping.wait(0.02)
        self._slots.clear()
        self._before.clear()
        self._free = deque(range(1, SLOTS + 1))
        try:
            self._apply()
        except BaseException:
            _end(self._process, 0.0)
            self._process = None
            raise

    def _watch(self) -> None:
        """Start it again when it ends; see when nothing of an earlier version is on its way."""
        while not self._stopping.wait(_LOOK):
            with self._lock, contextlib.suppress(ServingError):
                if self._process is not None and self._process.poll() is not None:
                    _end(self._process, 0.0)
                    self._process = None
                if self._process is None:  # it ended with all that was on its way
                    self._forget(*self._done_with)
                    self._begin()
                if (said := self._folder / "said").stat().st_size > _SAID:
                    os.truncate(said, 0)
                if self._done_with:
                    running = {row["# pxname"]: int(row["scur"] or 0) for row in self._rows("BACKEND")}
                    self._forget(*(each for each in self._done_with if not running.get(each)))

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

    # ---- its runtime API
    @property
    def _control(self) -> Path:
        return self._folder / "control"

    def _names_now(self) -> dict[str, str]:
        named = {
            f"{each}.{key}": value or UNNAMED
            for each, pin in self._pins.items()
            for key, value in (dict.fromkeys(PLACES, "") if pin is None else pin.names).items()
        }
        return {**named, "now": self._now}

    def _names(self) -> list[str]:
        """Commands: what each backend names, and then which of them is asked."""
        return [f"set map {self._folder}/names {key} {value}" for key, value in self._names_now().items()]

    def _apply(self) -> None:
        commands = []
        for address in [each for each in self._slots if each not in self._endpoints]:
            number = self._slots.pop(address)
            self._free.append(number)  # the one that was let go longest ago is used next
            commands += [f"set server {each}/r{number} state maint" for each in BACKENDS]
        if self._endpoints.keys() - self._slots.keys():
            self._remember()
        most = max(self._endpoints.values(), default=0.0)
        for address, weight in self._endpoints.items():
            share = min(256, max(1, round(256 * weight / most))) if weight else 0
            number = self._slots.get(address, 0)
            fresh = not number
            if fresh:
                number = self._slots[address] = self._free.popleft()
            for backend in BACKENDS:
                server = f"{backend}/r{number}"
                if fresh:
                    host, port = parse_address(address)
                    commands.append(f"set server {server} addr {_numbers(host, port)} port {port}")
                commands.append(f"set weight {server} {share}")
                if fresh:
                    commands += [f"set server {server} state ready", f"set server {server} health up"]
        # a request line of this interface may be as long as one of its buffers
        for start in range(0, len(commands), 60):
            self._tell(*commands[start : start + 60])

    def _remember(self) -> None:
        """What was counted of slots that nobody has: who gets one next begins at nothing."""
        free = {f"r{number}": number for number in self._free}
        found = dict.fromkeys(self._free, (0, 0))
        for row in self._rows():
            if row["# pxname"] in BACKENDS and (number := free.get(row["svname"])) is not None:
                requests, failures = found[number]
                found[number] = requests + int(row["stot"] or 0), failures + _failures(row)
        self._before |= found

    def _tell(self, *commands: str) -> str:
        """Raises ServingError TIP531 when it does not answer, or does not know a command."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
                channel.settimeout(_ANSWER)
                channel.connect(str(self._control))
                channel.sendall(";".join(commands).encode() + b"\n")
                told = b"".join(iter(lambda: channel.recv(65536), b"")).decode("utf-8", "replace")
        except OSError as error:
            raise _silent(str(error)) from error
        wrong = [line for line in told.splitlines() if line.startswith(_REFUSALS)]
        if wrong:
            raise _silent(wrong[0])
        return told

    def _answers(self) -> bool:
        try:
            self._tell("show version")
        except ServingError:
            return False
        return True

    def _rows(self, name: str = "") -> list[Mapping[str, str]]:
        """Its statistics, a row for each of its parts; of ``name`` alone where one is given."""
        told = self._tell("show stat")
        return [row for row in csv.DictReader(io.StringIO(told.strip())) if name in ("", row["svname"])]


_REFUSALS = ("Unknown", "No such", "Invalid", "Malformed", "Require", "Can't", "Permission")


def _failures(row: Mapping[str, str]) -> int:
    return int(row["econ"] or 0) + int(row["eresp"] or 0)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise cannot_listen(host, port, error) from error


def _numbers(host: str, port: int) -> str:
    """The address of a host, as the runtime API wants it."""
    try:
        return str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise ServingError("TIP512", f"{host!r} has no address.", cause=str(error)) from error


def _end(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Let it end what it does; False when it had to be killed."""
    clean = True
    if process.poll() is None:
        process.send_signal(signal.SIGUSR1)
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


def _not_started(program: str, why: str) -> ServingError:
    return ServingError(
        "TIP531",
        "HAProxy does not start.",
        where=program,
        cause=why or "it is not installed",
        fix="Install HAProxy 2.6 or newer, or use the built-in driver.",
    )


def _silent(why: str) -> ServingError:
    return ServingError(
        "TIP531", "HAProxy does not do what it is told.", cause=why, fix="Is it 2.6 or newer?"
    )
