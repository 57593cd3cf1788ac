"""The helper of a run's own network: it makes the network, has the internet brought there, and opens sockets in it.

Two processes. The outer one stays in this machine's network: it starts ``pasta`` there and ends it. The inner one moves
into a user and a network namespace of its own, brings the loopback up and, for the engine, makes sockets: a socket
belongs to the network that it was made in, whoever connects it later. Both end when the engine's end of the socket
closes, also by SIGKILL, or when the other has ended; the network goes with its last process.

Run as ``python -I -S _network.py DESCRIPTOR [PROGRAM ARGUMENT...]``: a SOCK_SEQPACKET socket; the program (``pasta``)
is given the number of the inner process as its last argument. Messages:
out  JSON {"pid": "1"} once there is a network, or {"problem": "..."}; with a program then {"outside": "..."}: why it
     does not reach out, or an empty string
in   "4" or "6", out a byte with a TCP socket of this family, or the text of an error
in   "?" out JSON {"again": "1", "outside": "..."}: the same for an engine that comes later; null without a program
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import time

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_PDEATHSIG = 1
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
LOOPBACK = 1  # the number of the first interface of every network
RTM_NEWADDR, NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE = 20, 1, 4, 0x400
RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR = 0x10, 0x100
IFA_ADDRESS, IFA_LOCAL, IFA_CACHEINFO, IFA_F_NODAD = 1, 2, 6, 2
PORTS = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
FOR_EVER = 0xFFFFFFFF
PATIENCE = 5.0  # seconds in which the internet must be there
IGNORED = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGTTOU)
FAMILIES = {b"4": socket.AF_INET, b"6": socket.AF_INET6}

libc = ctypes.CDLL(None, use_errno=True)


def call(done: int, what: str) -> None:
    if done:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def end_with_parent(parent: int) -> None:
    """SIGKILL when the parent has ended, or now when it has already."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def separate() -> None:
    """Into a user and a network namespace of its own, as who one is."""
    user, group = os.geteuid(), os.getegid()
    call(libc.unshare(CLONE_NEWUSER | CLONE_NEWNET), "a network of its own")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as stream:
            stream.write(text)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sH22x", b"lo", 0)
        flags = struct.unpack_from("16sH", fcntl.ioctl(any_socket, SIOCGIFFLAGS, asked))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | IFF_UP))
    with contextlib.suppress(OSError), open(PORTS, "w") as stream:  # as in a pod, port 80 is anybody's
        stream.write("0")


def addresses(pid: int | str = "self") -> set[bytes]:
    """The addresses of the machine, or network, that a process sees, but those of its loopback."""
    found = set()
    with contextlib.suppress(OSError), open(f"/proc/{pid}/net/fib_trie") as stream:
        last = ""
        for line in stream:
            words = line.split()
            if words[:1] == ["|--"]:
                last = words[1]
            elif words[-2:] == ["host", "LOCAL"]:
                found.add(socket.inet_pton(socket.AF_INET, last))
    with contextlib.suppress(OSError), open(f"/proc/{pid}/net/if_inet6") as stream:
        found |= {bytes.fromhex(line.split()[0]) for line in stream}
    return {each for each in found if each[:1] != b"\x7f" and each != b"\0" * 15 + b"\1"}


def link_local(address: bytes) -> bool:
    return len(address) == 16 and address[0] == 0xFE and address[1] & 0xC0 == 0x80


def take(address: bytes, interface: int) -> None:
    """Make an address this network's own; nothing is sent from it."""
    family, bits = (socket.AF_INET, 32) if len(address) == 4 else (socket.AF_INET6, 128)
    attributes = b"".join(
        struct.pack("HH", 4 + len(value), kind) + value
        for kind, value in (
            (IFA_LOCAL, address),
            (IFA_ADDRESS, address),
            (IFA_CACHEINFO, struct.pack("IIII", 0, FOR_EVER, 0, 0)),
        )
    )
    body = struct.pack("BBBBI", family, bits, IFA_F_NODAD, 0, interface) + attributes
    flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.bind((0, 0))
        netlink.send(struct.pack("IHHII", 16 + len(body), RTM_NEWADDR, flags, 1, 0) + body)
        error = -struct.unpack_from("i", netlink.recv(4096), 16)[0]
    if error and error != errno.EEXIST:
        raise OSError(error, f"an address: {os.strerror(error)}")


def shut(ours: set[bytes]) -> None:
    """Who asks for an address of this machine asks the run's own network, which nobody leaves by it."""
    here = addresses()
    for address in ours - here:
        if not link_local(address):
            take(address, LOOPBACK)
            continue
        for number, _ in socket.if_nameindex():
            if number != LOOPBACK:
                take(address, number)


def serve(sock: socket.socket, heard: int, outside: str | None) -> None:
    """Make sockets for the engine, and shut the addresses that this machine comes to have, until either is gone."""
    poll = select.poll()
    for descriptor in (sock.fileno(), heard):
        poll.register(descriptor, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == heard:
                new = os.read(heard, 1 << 16)
                if not new:
                    return
                shut({bytes.fromhex(line) for line in new.decode().split()})
            elif not (asked := sock.recv(64)):
                return
            elif asked == b"?":
                tell(sock, again=str(os.getpid()), outside=outside)
            else:
                give(sock, FAMILIES[asked])


def give(sock: socket.socket, family: int) -> None:
    """A new socket of this network, or why there is none."""
    try:
        with socket.socket(family) as made:
            socket.send_fds(sock, [b"+"], [made.fileno()])
    except OSError as error:
        sock.send(str(error).encode())


def changes() -> socket.socket:
    """What tells when this machine's addresses change."""
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    netlink.bind((0, RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR))
    return netlink


def watch(netlink: socket.socket, hears: int, tells: int, ours: set[bytes]) -> None:
    """Tell the inner process of new addresses, until it has ended."""
    poll = select.poll()
    poll.register(hears, 0)
    poll.register(netlink, select.POLLIN)
    while all(descriptor != hears for descriptor, _ in poll.poll()):
        with contextlib.suppress(OSError):  # no more, or too much: what is there now counts
            while netlink.recv(1 << 16):
                pass
        for address in addresses() - ours:
            ours.add(address)
            with contextlib.suppress(OSError):
                os.write(tells, f"{address.hex()}\n".encode())


def inner(sock: socket.socket, ready: int, heard: int, ours: set[bytes], way_out: bool) -> None:
    problem = None
    try:
        separate()
        tell(sock, pid=str(os.getpid()))
        os.write(ready, b"+")
        if way_out:
            outside = os.read(heard, 4096)
            if not outside:
                return
            shut(ours)
            problem = outside[1:].decode(errors="replace")
            tell(sock, outside=problem)
    except OSError as error:
        tell(sock, problem=str(error))
        return
    serve(sock, heard, problem)


def tell(sock: socket.socket, **what: str | None) -> None:
    sock.send(json.dumps(what).encode())


def reached(pid: int) -> bool:
    """Whether the network of a process has a way out."""
    ways = {"route": (1, "00000000"), "ipv6_route": (0, "0" * 32)}
    for name, (column, nowhere) in ways.items():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/net/{name}") as stream:
            for line in stream:
                words = line.split()
                if len(words) > 8 and words[column] == nowhere and words[-1] != "lo" and words[0] != "Iface":
                    return True
    return False


def bring(program: list[str], pid: int) -> tuple[int, str]:
    """Start ``pasta`` for the network of a process: its own number, and why it does not reach out."""
    said, log = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    me = os.getpid()
    child = os.fork()
    if not child:
        null = os.open(os.devnull, os.O_RDWR)
        for source, target in ((null, 0), (null, 1), (log, 2)):
            os.dup2(source, target)
        # Python ignores two, this program the others
        for number in (*IGNORED, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        end_with_parent(me)
        with contextlib.suppress(OSError):
            os.execv(program[0], [*program, str(pid)])
        os._exit(127)
    os.close(log)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if reached(pid):
            return child, ""
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            text = ""
            with contextlib.suppress(OSError):
                text = os.read(said, 4000).decode(errors="replace")
            lines = [line for line in text.splitlines() if line.strip() and "syslog" not in line]
            return 0, "pasta: " + (lines or [f"it ends with {os.waitstatus_to_exitcode(status)}"])[-1].strip()
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 0, "pasta: there is no way out"


def main() -> None:
    sock = socket.socket(fileno=int(sys.argv[1]))
    program = sys.argv[2:]
    sock.set_inheritable(False)
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    netlink = changes()  # first: what comes between is told twice
    me, ours = os.getpid(), addresses()
    hears, ready = os.pipe2(os.O_CLOEXEC)
    heard, tells = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if not child:
        end_with_parent(me)
        os.close(hears)
        os.close(tells)
        netlink.close()
        with contextlib.suppress(OSError):
            inner(sock, ready, heard, ours, bool(program))
        os._exit(0)
    os.close(ready)  # the inner process alone holds it
    os.close(heard)
    sock.close()
    helper = 0
    if os.read(hears, 1) and program:
        outside = ""
        if reached(me):
            helper, outside = bring(program, child)
        with contextlib.suppress(OSError):
            os.write(tells, b"+" + outside.encode()[:4000])
    watch(netlink, hears, tells, ours)
    for each in filter(None, (child, helper)):
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(each, signal.SIGKILL)
            os.waitpid(each, 0)


if __name__ == "__main__":
    main()
