"""benchmarks/peers.py: what a command costs, and that a tool which fails takes no other's figures away."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import peers
from benchmarks.costs import Cost
from tiphys.lint import lint

BURN = "import time\nwhile time.process_time() < {}: pass"


def run(program: str) -> Cost:
    """In a process of its own, as whoever measures gets the orphans of what it measures."""
    code = (
        f"from benchmarks.costs import cost; print(*cost(['{sys.executable}', '-c', {program!r}], env={{}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=peers.ROOT
    )
    return Cost(*map(float, done.stdout.split()))


def test_all_that_a_command_starts_is_counted() -> None:
    grandchild = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN.format(0.3)!r}])"
    assert run(grandchild).cpu >= 0.3


def test_what_a_command_leaves_behind_is_counted() -> None:
    orphan = (
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {BURN.format(0.3)!r}], "
        "start_new_session=True)"
    )
    assert run(orphan).cpu >= 0.3


def test_what_fails_says_why() -> None:
    code = (
        "import sys; from subprocess import CalledProcessError; from benchmarks.costs import cost\n"
        "try: cost([sys.executable, '-c', 'raise SystemExit(\"no room\")'], env={})\n"
        "except CalledProcessError as error: print(error.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=peers.ROOT
    )
    assert done.stdout.strip() == "no room"


def test_a_tool_that_fails_takes_no_others_figures_away(capsys: pytest.CaptureFixture[str]) -> None:
    commands = dict.fromkeys(peers.SHAPES, "")
    tools = (
        peers.Peer("steady", "nothing", commands, package="steady==1.2"),
        peers.Peer("broken", "nothing", commands),
        peers.Peer("late", "nothing", {"chain": ""}, caching="none"),
    )
    rounds = 0

    def once(peer: peers.Peer, shape: str) -> Cost:
        nonlocal rounds
        if peer.name == "broken" and shape == "hits":
            raise subprocess.CalledProcessError(1, "broken", stderr="first\nno cache here")
        if peer.name == "late" and rounds:
            raise subprocess.TimeoutExpired("late", 600)
        return Cost(2.0, 1.0)

    kept: list[dict[str, Any]] = []

    def keep(found: dict[str, Any]) -> None:
        nonlocal rounds
        rounds += 1
        kept.append(found)

    peers.measure(tools, once, 3, keep)
    assert [found["rounds"] for found in kept] == [1, 2, 3]
    told = kept[-1]["tools"]
    same = {"wall_s": 2.0, "cpu_s": 1.0}
    assert told["steady"] == {
        "version": "1.2", "isolates": "nothing", "caching": "", "chain": same, "fan_out": same, "hits": same,
    }  # fmt: skip
    assert told["broken"]["chain"] == same
    assert told["broken"]["hits"] == {"failed": "no cache here"}
    assert told["late"]["chain"]["failed"] == "took more than 600 s"
    assert kept[0]["tools"]["late"]["chain"] == same
    peers.table(kept[-1])
    assert "failed" in capsys.readouterr().out


def test_each_shape_is_measured_or_told_why_not() -> None:
    for peer in (*peers.PEERS, *peers.ARGO):
        assert peer.commands.keys() <= peers.SHAPES.keys()
        assert bool(peer.caching) == ("hits" not in peer.commands), peer.name


def test_versions_are_pinned() -> None:
    found = {peer.package for peer in peers.PEERS if peer.package}
    assert len(found) == 4 and all(each.partition("==")[2] for each in found)


def test_the_flows_are_programs() -> None:
    for each in peers.FLOWS.glob("flow_*.py"):
        assert ast.get_docstring(ast.parse(each.read_text(encoding="utf-8"))), each


@pytest.mark.parametrize("name", [*peers.SHAPES, "chain_commands", "fan_out_commands"])
def test_what_argo_is_given_is_right(name: str, tmp_path: Path) -> None:
    file = peers.compiled(name, tmp_path)
    assert not [each for each in lint(file) if each.severity == "error"]


def test_the_tiphys_flows_run(tmp_path: Path) -> None:
    tiphys = next(peer for peer in peers.PEERS if peer.name == "tiphys, a command a step")
    words = [
        word.format(bin=Path(sys.executable).parent, work=tmp_path, flows="")
        for word in tiphys.commands["chain"].split()
    ]
    path = os.pathsep.join([str(peers.ROOT / "sdk"), str(peers.ROOT)])
    done = subprocess.run(
        words, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
