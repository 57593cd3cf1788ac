"""What a step in the sandbox reaches: the pods of its run and the world, nothing that listens on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.engine.harness import (
    Recorder,
    alive,
    dag,
    execute,
    log,
    marked,
    node,
    python,
    sandboxed,
    shell,
    wait_until,
    workflow,
)
from tiphys.engine import NodeChanged, Notice, Observation, RunOptions
from tiphys.engine.runners import network
from tiphys.engine.runners.choose import choose_runner
from tiphys.engine.runners.network import HostNetwork, RunNetwork, nameservers
from tiphys.errors import RefusedError

pytestmark = sandboxed

_ASK = """
import socket
for host, port in {places}:
    try:
        with socket.create_connection((host, port), 5):
            print(host, "connected")
    except OSError as error:
        print(host, type(error).__name__)
try:
    with socket.socket(socket.AF_UNIX) as found:
        found.connect({abstract!r})
        print("abstract", "connected")
except OSError as error:
    print("abstract", type(error).__name__)
"""


@pytest.fixture
def others() -> Iterator[str]:
    """A script that asks each of the services that somebody else has on this machine; it prints who answers."""
    with ExitStack() as stack:
        places = []
        for family, bound, asked in (
            (socket.AF_INET, "127.0.0.1", ["127.0.0.1", "localhost"]),
            (socket.AF_INET, "0.0.0.0", ["127.0.0.1", "127.0.0.53", "0.0.0.0", *_outer()]),
            (socket.AF_INET6, "::1", ["::1"]),
        ):
            server = stack.enter_context(socket.socket(family))
            try:
                server.bind((bound, 0))
            except OSError:
                continue  # no IPv6 here
            server.listen()
            places += [(each, server.getsockname()[1]) for each in asked]
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0tiphys-{os.getpid()}")
        abstract.listen()
        yield _ASK.format(places=places, abstract=f"\0tiphys-{os.getpid()}")


def _outer() -> list[str]:
    """This machine's address in its network, where it is in one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))  # RFC 5737: nobody's; nothing is sent
        except OSError:
            return []
        return [asked.getsockname()[0]]


def test_services_of_others_are_not_reached(tmp_path: Path, others: str) -> None:
    result = execute(tmp_path, workflow(python("main", others)), runner="sandbox")
    answers = dict(line.split(" ", 1) for line in log(result, result.name).splitlines())
    assert answers.pop("abstract") == "ConnectionRefusedError"
    assert {"127.0.0.1", "localhost", "0.0.0.0"} <= set(answers)
    # without a way out the outer address is nowhere
    assert set(answers.values()) <= {"ConnectionRefusedError", "OSError"}
    assert answers["127.0.0.1"] == answers["localhost"] == answers["0.0.0.0"] == "ConnectionRefusedError"


def test_pods_of_one_run_reach_one_another_and_those_of_no_other() -> None:
    with closing(RunNetwork()) as one, closing(RunNetwork()) as other, one.new_socket() as server:
        server.bind(("127.22.1.1", 80))
        server.listen()
        one.connect("127.22.1.1", 80, 5).close()
        for elsewhere in (other, HostNetwork()):
            with pytest.raises(ConnectionRefusedError):
                elsewhere.connect("127.22.1.1", 80, 5)


def test_what_is_the_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """IANA's registries of special addresses: 127.0.0.0/8, ::1; 0.0.0.0 and :: mean this host (RFC 1122, RFC 4291)."""
    own = [
        "127.0.0.1",
        "127.22.3.4",
        "localhost",
        "x.localhost",
        "[::1]",
        "::",
        "0.0.0.0",
        "::ffff:127.0.0.1",
    ]
    with closing(RunNetwork()) as made:
        assert all(map(made.has, own))
        assert not any(
            map(made.has, ["192.0.2.1", "2001:db8::1", "[2001:db8::1]", "", "no.such.name.invalid"])
        )
        assert not any(map(HostNetwork().has, own))


def _helpers() -> list[int]:
    """What holds the networks that this process has made."""
    found = [pid for pid in marked(str(network._HELPER)) if Path(f"/proc/{pid}/stat").exists()]
    return [
        pid for pid in found if f" {os.getpid()} " in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    ]


def test_nothing_starts_beside_a_network_that_is_gone(tmp_path: Path) -> None:
    """The number of who held it may be another process's by then."""

    def observe(seen: Observation) -> None:
        if isinstance(seen, NodeChanged) and (seen.node["displayName"], seen.change) == ("a", "finished"):
            (helper,) = _helpers()
            inside = map(int, Path(f"/proc/{helper}/task/{helper}/children").read_text().split())
            gone = [helper, *inside]  # those end with it, a moment later
            os.kill(helper, signal.SIGKILL)
            wait_until(lambda: not any(map(alive, gone)))

    second = {"name": "b", "template": "b", "depends": "a"}
    flow = workflow(dag({"name": "a", "template": "a"}, second), shell("a", "true"), shell("b", "true"))
    result = execute(tmp_path, flow, runner="sandbox", observer=observe)
    assert (node(result, "b")["phase"], result.phase) == ("Error", "Error")
    assert "network of the run is gone" in node(result, "b")["message"]


def test_nothing_is_left_of_it() -> None:
    """When it is closed, and when its engine is killed."""
    with closing(RunNetwork()):
        assert _helpers()
    assert not _helpers()
    source = (
        "from tiphys.engine.runners.network import *; n = RunNetwork(); print(n.outside, flush=True); input()"
    )
    command = [sys.executable, "-c", source]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as engine:
        assert engine.stdout is not None
        engine.stdout.readline()
        left, look = [], [engine.pid]
        while look:
            pid = look.pop()
            look += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            left.append(pid)
        assert len(left) > 2
        engine.kill()
    wait_until(lambda: not any(map(alive, left)))


# a machine of its own, which is a network namespace with two addresses, and the world beyond it, which is another one
_MACHINE = """
import socket, subprocess, sys, time
from tiphys.engine.runners.network import RunNetwork
from tiphys.engine.runners.spawner import Launch

def ip(words):
    done = subprocess.run(["ip", *words.split()], capture_output=True, text=True)
    if done.returncode:
        print(done.stderr)
        sys.exit(77)

def ask(host, port):
    launch = made.joined(Launch(sys.executable, ["python", "-c", sys.argv[1], host, str(port)], {}, "/", ""))
    return subprocess.run(launch.argv, capture_output=True, text=True).stdout.strip()

ip("link set lo up")
ip("link add here type veth peer name there")
source = '''
import socket, subprocess, sys, threading
print("here", flush=True)
sys.stdin.readline()
for words in ("link set lo up", "link set there up", "address add 198.51.100.1/24 dev there",
              "address add 203.0.113.7/32 dev lo"):
    subprocess.run(["ip", *words.split()], check=True)
server = socket.create_server(("0.0.0.0", 7001))
print("up", flush=True)
def serve():
    while True:
        server.accept()[0].close()
threading.Thread(target=serve, daemon=True).start()
sys.stdin.read()
'''
command = ["unshare", "-n", sys.executable, "-c", source]
world = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
world.stdout.readline()
ip(f"link set there netns {world.pid}")
world.stdin.write(b"go\\n")
world.stdin.flush()
world.stdout.readline()
for address in ("198.51.100.2/24", "198.51.100.9/24"):
    ip(f"address add {address} dev here")
ip("link set here up")
ip("route add default via 198.51.100.1")
made = RunNetwork()
if made.outside:
    print("none:", made.outside)
    sys.exit(77)
servers = [socket.create_server(("0.0.0.0", 7001)), socket.create_server(("127.0.0.1", 7002))]
print("203.0.113.7 7001", ask("203.0.113.7", 7001))
print("198.51.100.1 7002", ask("198.51.100.1", 7002))  # the way out does not stand for this machine
for host in ("198.51.100.2", "198.51.100.9", "127.0.0.1"):
    for port in (7001, 7002):
        print(host, port, ask(host, port))
ip("address add 203.0.113.99/32 dev lo")
until = time.monotonic() + 10
while (answer := ask("203.0.113.99", 7001)) != "ConnectionRefusedError" and time.monotonic() < until:
    pass
print("203.0.113.99 7001", answer)
made.close()
world.kill()
"""
_CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()
    print("connected")
except OSError as error:
    print(type(error).__name__)
"""


@pytest.mark.skipif(not all(map(shutil.which, ("pasta", "ip"))), reason="no passt or no iproute2 here")
def test_a_step_reaches_the_world_by_pasta_and_not_this_machine() -> None:
    """Also not at an address that this machine gets later."""
    command = ["unshare", "-Urn", sys.executable, "-c", _MACHINE, _CONNECT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode == 77:
        pytest.skip(f"no such machine can be made here: {done.stdout or done.stderr}")
    answers = [line.split() for line in done.stdout.splitlines()]
    assert len(answers) == 9, done.stderr
    assert [line[:2] for line in answers if line[2] == "connected"] == [["203.0.113.7", "7001"]]
    assert answers[-1] == ["203.0.113.99", "7001", "ConnectionRefusedError"]


def _no_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "way_out", list)


def test_without_a_way_out_the_sandbox_stays_shut_and_auto_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: str
) -> None:
    _no_way_out(monkeypatch)
    result = execute(tmp_path, workflow(python("main", others)), runner="sandbox")
    assert " connected" not in log(result, result.name)
    recorder = Recorder()
    result = execute(tmp_path, workflow(python("main", others)), runner="auto", observer=recorder)
    assert "127.0.0.1 connected" in log(result, result.name)
    (notice,) = [each.text for each in recorder.of(Notice) if each.code == "TIP222"]
    assert "passt is not installed" in notice
    assert "what listens on this machine" in notice


@pytest.mark.skipif(not _outer(), reason="this machine has no way out itself")
def test_a_way_out_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "pasta"
    program.write_text("#!/bin/sh\necho no tun device >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(network, "way_out", lambda: [str(program)])
    with closing(RunNetwork()) as made:
        assert made.outside == "pasta: no tun device"
        made.new_socket().close()
    for runner, own in ("auto", False), ("sandbox", True):
        chosen, told = choose_runner(RunOptions(runner=runner))  # type: ignore[arg-type]
        with closing(chosen.network):
            assert chosen.network.own is own
        assert ("no tun device" in told) is not own


def test_who_keeps_servers_is_told_that_steps_share_this_machines_network() -> None:
    for options, own in ({}, True), ({"keep_serving": True}, False):
        runner, told = choose_runner(RunOptions(runner="sandbox", **options))
        with closing(runner.network):
            assert runner.network.own is own
        assert bool(told) is not own
    with pytest.raises(RefusedError, match="servers that are to stay"):
        choose_runner(RunOptions(runner="sandbox", keep_serving=True, network="run"))


def test_auto_does_not_take_a_proxy_from_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:word@127.0.0.1:3128/")
    runner, told = choose_runner(RunOptions(runner="auto"))
    assert not runner.network.own
    assert "HTTPS_PROXY" in told
    assert "word" not in told


@pytest.mark.parametrize("asked", ["", "run"])
def test_a_network_that_cannot_be_had_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    real = shutil.which
    monkeypatch.setattr(network.shutil, "which", lambda name: None if name == "nsenter" else real(name))
    with pytest.raises(RefusedError, match="nsenter") as caught:
        execute(tmp_path, workflow(shell("main", "true")), runner="sandbox", network=asked)
    assert caught.value.code == "TIP229"
    assert not (tmp_path / "store" / "runs").exists()
    assert execute(tmp_path, workflow(shell("main", "true")), runner="sandbox", network="host").succeeded


def test_what_the_kernel_refuses_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    helper = tmp_path / "helper.py"
    refusal = "libc.unshare = lambda flags: ctypes.set_errno(1) or -1\n"
    helper.write_text(network._HELPER.read_text().replace("def call(", f"{refusal}def call("))
    monkeypatch.setattr(network, "_HELPER", helper)
    with pytest.raises(OSError, match="a network of its own: Operation not permitted"):
        RunNetwork()


@pytest.mark.parametrize("runner", ["process", "docker"])
def test_only_the_sandbox_has_it(tmp_path: Path, runner: str) -> None:
    with pytest.raises(RefusedError) as caught:
        execute(tmp_path, workflow(shell("main", "true")), runner=runner, network="run")
    assert caught.value.code == "TIP229"


class _Own(HostNetwork):
    own = True


def test_name_servers(tmp_path: Path) -> None:
    """A pod reaches no name server on this machine's loopback: pasta hands its questions on; and no file in /run."""
    path = tmp_path / "etc" / "resolv.conf"
    path.parent.mkdir()
    path.write_text("search a.b\nnameserver 127.0.0.53\noptions edns0\n")
    assert nameservers(_Own(), path) == "search a.b\noptions edns0\nnameserver 169.254.1.1\n"
    assert nameservers(HostNetwork(), path) == ""
    path.write_text("nameserver 127.0.0.1\nnameserver 192.0.2.53\n")
    assert nameservers(_Own(), path) == ""
    elsewhere = tmp_path / "run.conf"
    elsewhere.write_text("nameserver 192.0.2.53\n")
    path.unlink()
    path.symlink_to(elsewhere)
    assert nameservers(_Own(), path) == nameservers(HostNetwork(), path) == "nameserver 192.0.2.53\n"
