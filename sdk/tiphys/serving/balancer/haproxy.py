"""HAProxy in front, where it is installed: the same balancer for a third to a half of the CPU time.

It takes what is small and common by itself. What it cannot do as the built-in balancer does, it hands to that one,
which stands behind it: what may not run twice, a body that it could not send a second time, and everything while no
replica is ready, which is held. Of gRPC it ends HTTP/2, and the replicas get each call as a request.
Endpoints, weights and the version that is named change while it runs, by its runtime API (HAProxy Management Guide,
9.3); no connection is closed for that.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import signal
import socket
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.errors import ServingError
from tiphys.serving.balancer.driven import BACKENDS, DrivenBalancer, end, numeric, whole_of
from tiphys.serving.balancer.endpoint import EndpointState, parse_address
from tiphys.serving.balancer.haproxy_text import FRONTENDS, SLOTS, UNNAMED, configuration
from tiphys.serving.balancer.pin import PLACES

if TYPE_CHECKING:
    import subprocess

    from tiphys.serving.balancer.core import EndpointStats, Settings, Stats

__all__ = ["HaproxyBalancer", "haproxy"]

_STATES = {"DOWN": EndpointState.UNHEALTHY, "MAINT": EndpointState.DRAINING, "DRAIN": EndpointState.DRAINING}
_ANSWER = 10.0  # seconds


def haproxy() -> str | None:
    """Where the program is, or None."""
    found = shutil.which("haproxy")
    if found is None and os.access("/usr/sbin/haproxy", os.X_OK):  # not in the PATH of a plain user
        return "/usr/sbin/haproxy"
    return found


class HaproxyBalancer(DrivenBalancer):
    """As :class:`Balancer`, for one model; all methods may be called from any thread.

    ``grpc_port``: it answers gRPC there, too, which the replicas get as HTTP/1.1
    (:mod:`tiphys.serving.rpc.over_http`); None: it does not.
    ``policy`` is ``"round-robin"`` or ``"least-request"``. At most :data:`SLOTS` endpoints. An answer that a replica
    breaks off in its middle reaches the client as it is: it is not held.

    Errors: ServingError TIP510 (cannot listen), TIP511 (a policy that it has not), TIP512 (bad endpoint address),
    TIP531 (HAProxy is not there, or does not start).
    """

    name = "HAProxy"
    fix = "Install HAProxy 2.6 or newer"
    ending = signal.SIGUSR1  # it ends what it does first

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
        super().__init__(
            host,
            port,
            program=haproxy() or "",
            model=model,
            policy=policy,
            health_path=health_path,
            settings=settings,
            grpc_port=grpc_port,
        )
        self._slots: dict[str, int] = {}
        self._free = deque(range(1, SLOTS + 1))
        self._before: dict[int, tuple[int, int]] = {}  # requests and failures of who had a slot earlier

    def _listen(self, port: int) -> socket.socket:
        family = socket.getaddrinfo(self.host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((self.host, port), family=family, backlog=1024)

    def _look_over(self, endpoints: dict[str, float]) -> None:
        if len(endpoints) > SLOTS:
            raise ServingError(
                "TIP512",
                f"{len(endpoints)} endpoints.",
                fix=f"HAProxy is set up for {SLOTS}; use the built-in driver.",
            )

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

    # ---- the process
    def _inherited(self) -> Sequence[int]:
        return [each.fileno() for each in self._listeners]

    def _end(self, process: subprocess.Popen[bytes], seconds: float) -> bool:
        return end(process, self.ending, seconds)

    def _prepare(self) -> list[str]:
        descriptors = self._inherited()
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
        return ["-db", "-f", str(text)]

    def _started(self) -> None:
        self._slots.clear()
        self._before.clear()
        self._free = deque(range(1, SLOTS + 1))
        self._apply()

    def _over(self, backends: Collection[str]) -> Iterable[str]:
        running = {row["# pxname"]: int(row["scur"] or 0) for row in self._rows("BACKEND")}
        return [each for each in backends if not (running.get(each) or running.get(whole_of(each)))]

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

    def _name(self) -> None:
        self._tell(
            *(f"set map {self._folder}/names {key} {value}" for key, value in self._names_now().items())
        )

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
                    commands.append(f"set server {server} addr {numeric(host, port)} port {port}")
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
            raise self._silent(str(error)) from error
        wrong = [line for line in told.splitlines() if line.startswith(_REFUSALS)]
        if wrong:
            raise self._silent(wrong[0])
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
