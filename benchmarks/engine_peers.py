"""Other tools' local runners beside this engine and a bare posix_spawn loop: many tasks that each run one program.

``compare`` makes a virtual environment for each tool below a folder, once (python -m venv, pip install), and runs
each tool's program in a process of its own with two numbers of tasks: the difference is what a task costs, the rest is
the start. A tool that cannot be installed or run is told of and left out. The task starts ``true``, except where
the tool always starts a Python of its own (KFP). Tasks are independent; each tool runs as many at once as it does by
default.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_BARE = """
import sys
sys.path.insert(0, sys.argv[2])
from engine import spawn_loop
spawn_loop(int(sys.argv[1]), 16)
"""
_TIPHYS = """
import sys
sys.path.insert(0, sys.argv[2])
from engine import SHAPES, engine_run
assert engine_run(SHAPES["loop"](int(sys.argv[1])), 16, sys.argv[3]) == int(sys.argv[1])
"""
_PREFECT = """
import subprocess, sys
from prefect import flow, task
@task
def noop(i): subprocess.run(["true"], check=True)
@flow
def main(n):
    for future in [noop.submit(i) for i in range(n)]: future.result()
main(int(sys.argv[1]))
"""
_DAGSTER = """
import subprocess, sys
from dagster import DynamicOut, DynamicOutput, job, op
@op(out=DynamicOut())
def start():
    for i in range(int(sys.argv[1])): yield DynamicOutput(i, mapping_key=str(i))
@op
def noop(i): subprocess.run(["true"], check=True)
@job
def main(): start().map(noop)
assert main.execute_in_process().success
"""
_KFP = """
import sys
from kfp import dsl, local
local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[3])
@dsl.component(install_kfp_package=False)
def noop() -> str: return ""
@dsl.pipeline
def main():
    for _ in range(int(sys.argv[1])): noop().set_caching_options(False)
main()
"""


@dataclass(frozen=True)
class Peer:
    """``packages`` is what pip installs; ``tasks`` the two numbers of tasks (slow tools get fewer)."""

    name: str
    program: str
    tasks: tuple[int, int]
    packages: tuple[str, ...] = ()


PEERS = (
    Peer("bare posix_spawn", _BARE, (200, 2200)),
    Peer("tiphys", _TIPHYS, (200, 2200)),
    Peer("dagster, in process", _DAGSTER, (20, 220), ("dagster",)),
    # prefect 3.8 does not start with a newer fastapi, though it allows it
    Peer("prefect, thread pool", _PREFECT, (20, 220), ("prefect", "fastapi<0.150")),
    Peer("kfp, SubprocessRunner", _KFP, (5, 55), ("kfp",)),
)


def compare(folder: Path, store: str) -> list[Mapping[str, str]]:
    """Rows of a table: what each tool costs a task, and how that is to the bare loop."""
    rows: list[Mapping[str, str]] = []
    bare = 0.0
    for peer in PEERS:
        try:
            python = _environment(folder, peer)
            _run(python, peer, peer.tasks[0], folder, store)  # compiles, makes a data base
            few, many = (_best(python, peer, tasks, folder, store) for tasks in peer.tasks)
        except subprocess.SubprocessError as error:
            output = getattr(error, "stderr", None) or b""
            print(f"{peer.name}: {error}\n{output.decode(errors='replace')[-500:]}", file=sys.stderr)
            continue
        more = peer.tasks[1] - peer.tasks[0]
        wall, cpu = ((b - a) / more * 1e3 for a, b in zip(few, many, strict=True))
        bare = bare or wall
        rows.append(
            {
                "tool": peer.name,
                "version": _version(python, peer),
                "tasks": str(peer.tasks[1]),
                "start s": f"{max(few[0] - wall * peer.tasks[0] / 1e3, 0):.2f}",
                "ms a task": f"{wall:.2f}",
                "x bare": f"{wall / bare:.1f}",
                "CPU ms a task": f"{cpu:.2f}",
            }
        )
    return rows


def _environment(folder: Path, peer: Peer) -> str:
    """The Python that has the tool; this one for what needs no other."""
    if not peer.packages:
        return sys.executable
    place = (folder / peer.packages[0]).absolute()
    python = str(place / "bin" / "python")
    if not (place / "ready").exists():
        for command in (
            [sys.executable, "-m", "venv", str(place)],
            [python, "-m", "pip", "install", "--quiet", *peer.packages],
        ):
            subprocess.run(
                command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=900
            )
        (place / "ready").touch()
    return python


def _best(python: str, peer: Peer, tasks: int, folder: Path, store: str) -> tuple[float, float]:
    """The quicker of two runs: something else may run on the machine."""
    return min(_run(python, peer, tasks, folder, store) for _ in range(2))


def _run(python: str, peer: Peer, tasks: int, folder: Path, store: str) -> tuple[float, float]:
    """Wall and CPU seconds of a run, its children included."""
    home = str(folder.absolute() / "home")
    env = {
        **os.environ, "HOME": home, "PREFECT_HOME": home, "PREFECT_LOGGING_LEVEL": "CRITICAL", "DO_NOT_TRACK": "1",
    }  # fmt: skip
    if peer.packages:
        env["PATH"] = f"{Path(python).parent}{os.pathsep}{env['PATH']}"
        env.pop("PYTHONPATH", None)
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    os.makedirs(home, exist_ok=True)
    program = Path(home, f"run_{peer.name.split(',')[0].replace(' ', '_')}.py")  # KFP reads its source
    program.write_text(peer.program)
    command = [python, str(program), str(tasks), str(Path(__file__).parent), store]
    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=600
    )
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _version(python: str, peer: Peer) -> str:
    if not peer.packages:
        return ""
    program = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
    done = subprocess.run(
        [python, "-c", program, peer.packages[0]], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
