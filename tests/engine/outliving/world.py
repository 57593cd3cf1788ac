"""A run whose engine can be killed, and what its steps leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.engine.harness import (
    wait_until,
)
from tiphys.engine import RunOptions, RunResult, resume

PROGRAM = """
import json, sys
from tiphys.engine import RunOptions, run
flow, store, runner = json.load(open(sys.argv[1])), sys.argv[2], sys.argv[3]
context = json.load(open(sys.argv[5])) if sys.argv[5:] else ()
result = run(flow, context=context, options=RunOptions(store=store, name=sys.argv[4], grace=5.0, runner=runner))
print(result.phase)
"""

AGAIN = """
import sys
from tiphys.engine import RunOptions, resume
def told(_):
    open(sys.argv[1] + "/volumes/notes/resumed", "a").write("x ")
resume('wf', options=RunOptions(store=sys.argv[1], runner=sys.argv[2], observer=told))
"""


BODY = (
    "echo x >> /notes/began; echo one; until test -e /notes/go; do sleep 0.02; done; "
    "echo two >&2; mkdir -p /tmp/out; echo made > /tmp/out/x; echo three; echo x >> /notes/ended"
)


class World:
    """A run whose engine can be killed; steps leave lines in files of the folder ``notes``, a volume to them."""

    def __init__(self, tmp_path: Path, runner: str) -> None:
        self.path = tmp_path
        self.runner = runner
        self.store = tmp_path / "store"
        self.notes = self.store / "volumes" / "notes"
        self.notes.mkdir(parents=True)
        self.engine: subprocess.Popen[str] | None = None
        self.mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"

    def start(
        self,
        flow: dict[str, Any],
        grace: float | None = None,
        name: str = "wf",
        context: Path | None = None,
        first: str = "",
    ) -> None:
        """``context`` is a file of objects; ``first`` what the engine's process does before anything else."""
        flow["spec"].setdefault("volumes", []).append(
            {"name": "notes", "persistentVolumeClaim": {"claimName": "notes"}}
        )
        for template in flow["spec"]["templates"]:
            for each in [
                *(template[kind] for kind in ("container", "script") if kind in template),
                *template.get("containerSet", {}).get("containers", []),
                *template.get("sidecars", []),
                *template.get("initContainers", []),
            ]:
                each["volumeMounts"] = [
                    *each.get("volumeMounts", []),
                    {"name": "notes", "mountPath": "/notes"},
                ]
                each["env"] = [*each.get("env", []), {"name": "MARK", "value": self.mark}]
        file = self.path / "flow.json"
        file.write_text(json.dumps(flow))
        env = dict(os.environ)
        if grace is not None:
            env["TIPHYS_KEEPER_GRACE"] = str(grace)
        self.engine = subprocess.Popen(
            [
                *(sys.executable, "-c", first + PROGRAM, str(file), str(self.store), self.runner, name),
                *([] if context is None else [str(context)]),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
            start_new_session=True,
        )

    def seen(self, name: str) -> list[str]:
        file = self.notes / name
        return file.read_text().split() if file.exists() else []

    def wait_for(self, name: str) -> None:
        wait_until(lambda: bool(self.seen(name)), 30)

    def kill(self) -> None:
        assert self.engine is not None
        self.engine.kill()
        self.engine.communicate()

    def freeze(self) -> None:
        """Nothing is written by the engine any more."""
        assert self.engine is not None
        self.engine.send_signal(signal.SIGSTOP)

    def let_go(self, name: str = "go") -> None:
        (self.notes / name).touch()

    def resume(self) -> RunResult:
        return resume("wf", options=RunOptions(store=self.store, runner=self.runner, handle_signals=False))

    def go_on(self) -> None:
        """Another engine resumes the run, in a process of its own; it has what still runs when this returns."""
        self.engine = subprocess.Popen(
            [sys.executable, "-c", AGAIN, str(self.store), self.runner],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.wait_for("resumed")

    def ended(self) -> RunResult:
        """What a run that has ended is."""
        folder = self.store / "runs" / "wf"
        return RunResult("wf", json.loads((folder / "workflow.json").read_text()), folder)

    def alive(self) -> list[int]:
        """The processes of the run's steps, whatever they have become."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if f"MARK={self.mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes():
                    found.append(int(pid))
            except OSError:
                continue
        return found

    def keepers(self) -> list[int]:
        """The keeper and its guard, the guard first."""
        link = str(self.store / "runs" / "wf")
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                descriptors = f"/proc/{pid}/fd"
                if b"_keeper.py" in Path(f"/proc/{pid}/cmdline").read_bytes() and any(
                    os.readlink(f"{descriptors}/{each}") == link for each in os.listdir(descriptors)
                ):
                    found.append(int(pid))
            except OSError:
                continue
        return sorted(found)
