"""The network of a run's pods: this machine's own, or one of the run's that reaches nothing of this machine.

A run's own network is a network namespace. All pods of the run share it, as they share the addresses that the engine
gives them (127.x.y.z), and each of them has its containers' ``localhost`` in it. What listens on this machine is not
there: neither on the loopback, nor on an abstract socket, nor at another address that this machine has. The way out,
where there is one, is ``pasta`` (of passt): connections of the pods are made anew by a process in this machine's
network, which takes none to this machine itself. How a step comes to be in the network: ``nsenter`` (of util-linux),
before bubblewrap. How the engine comes to reach a pod: a helper makes a socket inside and hands it over
(:mod:`tiphys.engine.runners._network`).
"""

from __future__ import annotations

import ipaddress
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from tiphys.engine.runners._processes import received
from tiphys.engine.runners.spawner import Launch

__all__ = ["HostNetwork", "Network", "NetworkLost", "RunNetwork", "nameservers", "proxies_here", "way_out"]

_HELPER = Path(__file__).with_name("_network.py")
_PATIENCE = 15.0  # seconds that the helper may take
_RESOLV = Path("/etc/resolv.conf")
_NO_WAY = "passt is not installed"
_DNS = "169.254.1.1"  # who asks it is answered by this machine's own name server
# no address of the network stands for this machine (--no-map-gw), and no port is handed in or out
_PASTA = ("-f", "-q", "--config-net", "--no-map-gw", "-t", "none", "-u", "none", "-T", "none", "-U", "none")


class NetworkLost(OSError):
    """The process that holds a run's network is gone."""


class Network(Protocol):
    """What pods reach, and how the engine reaches them."""

    @property
    def own(self) -> bool:
        """Whether it is the run's own."""
        ...

    @property
    def outside(self) -> str:
        """Why pods reach nothing outside of their run, or an empty string."""
        ...

    def has(self, host: str) -> bool:
        """Whether a name or address is one of this network's loopback, which is not this machine's."""
        ...

    def new_socket(self, family: int = socket.AF_INET) -> socket.socket:
        """A new TCP socket in it."""
        ...

    def connect(self, host: str, port: int, timeout: float | None) -> socket.socket:
        """A connection to where a pod would get: the run's loopback is its own. Raises OSError."""
        ...

    def joined(self, launch: Launch) -> Launch:
        """The same program, in this network. Raises NetworkLost."""
        ...

    @property
    def descriptor(self) -> int:
        """What holds it: it is there as long as somebody has this open. -1: it stays anyway."""
        ...

    def close(self) -> None:
        """Nothing needs it any more."""
        ...


class HostNetwork:
    """This machine's network."""

    own = False
    outside = ""
    descriptor = -1

    def has(self, host: str) -> bool:
        return False

    def new_socket(self, family: int = socket.AF_INET) -> socket.socket:
        return socket.socket(family)

    def connect(self, host: str, port: int, timeout: float | None) -> socket.socket:
        return socket.create_connection((host, port), timeout)

    def joined(self, launch: Launch) -> Launch:
        return launch

    def close(self) -> None:
        """It stays."""


class RunNetwork:
    """A network of the run's own. It is there once it is made; the way out follows while other things are done.

    ``descriptor``: the one that an earlier engine had, of a network that is there. It is this one's then.

    Raises
    ------
    OSError
        The kernel gives no network, or ``nsenter`` is not there; the network is gone.
    """

    own = True

    def __init__(self, descriptor: int = -1) -> None:
        self._enter = shutil.which("nsenter") or ""
        if not self._enter:
            raise FileNotFoundError("nsenter (of util-linux) is not installed")
        self._outside: str | None = None
        self._lost = ""
        self._lock = threading.Lock()
        self._helper: subprocess.Popen[bytes] | None = None
        if descriptor >= 0:
            self._socket = socket.socket(fileno=descriptor)
        else:
            self._socket = self._made()
        self._socket.settimeout(_PATIENCE)
        try:
            if descriptor >= 0:
                self._again()
            else:
                self._pid = int(self._told()["pid"])
        except BaseException:
            self.close()
            raise

    def _made(self) -> socket.socket:
        program = way_out()
        if not program:
            self._outside = _NO_WAY
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._helper = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_HELPER), str(theirs.fileno()), *program],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env={"PATH": os.environ.get("PATH", os.defpath)},
                cwd="/",
            )
        return ours

    def _again(self) -> None:
        """Ask for what an earlier engine has been told. What it was answered and has not read is of no use."""
        self._socket.send(b"?")
        while True:
            data, descriptors = received(self._socket, 8192, 1)
            for each in descriptors:
                os.close(each)
            if not data:
                raise NetworkLost("its helper has ended")
            if data.startswith(b"{") and "again" in (said := json.loads(data)):
                self._pid = int(said["again"])
                self._outside = _NO_WAY if said["outside"] is None else said["outside"]
                return

    @property
    def outside(self) -> str:
        with self._lock:
            return self._reach()

    def has(self, host: str) -> bool:
        host = host.strip("[]")
        if _local_name(host):
            return True
        try:
            found = {host} if _address(host) else {str(each[4][0]) for each in socket.getaddrinfo(host, None)}
        except (OSError, UnicodeError):
            return False
        return all(_local(each) for each in found)

    def new_socket(self, family: int = socket.AF_INET) -> socket.socket:
        with self._lock:
            self._reach()  # the helper answers then
            try:
                self._socket.send(b"6" if family == socket.AF_INET6 else b"4")
                said, descriptors = received(self._socket, 4096, 1)
            except OSError as error:
                raise NetworkLost(f"the network of the run is gone: {error}") from error
        if not descriptors:
            raise NetworkLost(said.decode(errors="replace") or "the network of the run is gone")
        return socket.socket(fileno=descriptors[0])

    def connect(self, host: str, port: int, timeout: float | None) -> socket.socket:
        if not self.has(host):
            return socket.create_connection((host, port), timeout)
        problem: OSError | None = None
        for family, _, _, _, address in socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM):
            made = self.new_socket(family)
            made.settimeout(timeout)
            try:
                made.connect(address)
            except OSError as error:
                made.close()
                problem = error
            else:
                return made
        raise problem or OSError(f"{host} has no address")

    def joined(self, launch: Launch) -> Launch:
        if self._ended():  # its number may be another's soon
            raise NetworkLost("the network of the run is gone: its helper was killed")
        _ = self.outside  # a step may ask for it at once
        spaces = [f"--{space}=/proc/{self._pid}/ns/{space}" for space in ("user", "net")]
        words = [self._enter, "--preserve-credentials", *spaces, "--", launch.path, *launch.argv[1:]]
        return replace(launch, path=self._enter, argv=words)

    @property
    def descriptor(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()
        if self._helper is None:  # another engine's child: it ends all the same
            return
        try:
            self._helper.wait(5)
        except subprocess.TimeoutExpired:
            self._helper.kill()
            self._helper.wait()

    # -- inside -----------------------------------------------------------------------------------------------

    def _reach(self) -> str:
        """Wait until the way out is there, or is not to be had. Raises NetworkLost."""
        if self._outside is None:
            try:
                self._outside = self._told()["outside"]
            except OSError as error:
                self._lost = f"the network of the run is gone: {error}"
                self._outside = ""
        if self._lost:
            raise NetworkLost(self._lost)
        return self._outside

    def _ended(self) -> bool:
        """Whether the helper has: nobody has the other end."""
        poll = select.poll()
        poll.register(self._socket, 0)
        return bool(poll.poll(0))

    def _told(self) -> dict[str, str]:
        """The helper's next message. Raises OSError with the problem that it has met."""
        try:
            data = self._socket.recv(8192)
        except OSError as error:
            raise NetworkLost(f"its helper does not answer: {error}") from error
        if not data:
            raise NetworkLost("its helper has ended")
        said: dict[str, str] = json.loads(data)
        if said.get("problem"):
            raise OSError(said["problem"])
        return said


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _local(host: str) -> bool:
    """Whether an address is the loopback of whoever uses it."""
    address = _address(host)
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    return address is not None and (address.is_loopback or address.is_unspecified)


def way_out(path: Path = _RESOLV) -> list[str]:
    """The program that connects a run's own network with the world, or nothing where there is none."""
    program = shutil.which("pasta")
    if program is None:
        return []
    words = [program, *_PASTA]
    if _lost_servers(_lines(path)):
        words += ["--dns-forward", _DNS]
    if os.geteuid() == 0:
        words += ["--runas", "0"]  # it gives up nothing: it enters a user namespace
    return words


def nameservers(network: Network, path: Path = _RESOLV) -> str:
    """The text of ``/etc/resolv.conf`` for pods, or nothing where this machine's own serves.

    It does not where it is a link to what pods do not see (``/run``), or where all its servers are on a loopback that
    is not theirs.
    """
    lines = _lines(path)
    lost = _lost_servers(lines) if network.own else []
    if lost:
        lines = [*(line for line in lines if line not in lost), f"nameserver {_DNS}"]
    elif path.resolve().parent == path.parent.resolve():
        return ""
    return "".join(f"{line}\n" for line in lines)


def proxies_here(env: Mapping[str, str]) -> list[str]:
    """The variables that name a proxy on the loopback of who has them."""
    return [
        name
        for name, value in env.items()
        if name.lower() in ("http_proxy", "https_proxy", "all_proxy") and _local_name(_host_of(value))
    ]


def _host_of(address: str) -> str:
    try:
        return urlsplit(address if "//" in address else f"//{address}").hostname or ""
    except ValueError:
        return ""


def _local_name(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost") or _local(host)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _lost_servers(lines: list[str]) -> list[str]:
    """The lines of the name servers where a pod would reach none of them."""
    servers = [line for line in lines if line.split()[:1] == ["nameserver"]]
    return servers if all(_local("".join(line.split()[1:2])) for line in servers) else []
