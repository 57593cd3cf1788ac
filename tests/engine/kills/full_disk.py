"""A disk that fills up at each of the writes of a run: a small tmpfs, of so many pages or of so many files; or a quota
that is exhausted for one call alone, the n-th that makes, renames, writes or flushes something in the store.

The steps write nothing to it themselves: what they hand on lies outside the store, and so does the file of bodies. What
then meets the full disk is a write of the engine, of its keeper or of SQLite.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.engine.kills import flows
from tests.engine.kills.flows import FLOWS, Flow, Json
from tests.engine.kills.forked import Engine
from tests.engine.kills.rounds import PATIENCE
from tests.engine.kills.state import Bodies, State, differences

__all__ = ["LIMITS", "Disk", "Full", "fill", "uninterrupted"]

NAME = "wf"
PAGE = 4  # KiB: what a tmpfs is filled by
_ROOM = "remount,size=256m,nr_inodes=100000"
LIMITS = {
    "pages": "size={}k,nr_inodes=100000",
    "files": "size=256m,nr_inodes={}",
    "calls": "size=256m,nr_inodes=100000",
}
_MAKING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class NthCall:
    """Makes one call of this process fail, once: the ``count``-th that changes something in the store."""

    def __init__(self, count: int, disk: Disk) -> None:
        self.left = count
        self.store = str(disk.store)
        self.reached = disk.reached
        self.guard = threading.Lock()

    def install(self) -> None:
        sys.addaudithook(self.heard)
        for name in ("write", "fsync", "fdatasync"):
            setattr(os, name, self.counted(getattr(os, name)))

    def counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(descriptor: int, *arguments: Any) -> Any:
            self.meant(os.readlink(f"/proc/self/fd/{descriptor}"))
            return call(descriptor, *arguments)

        return counting

    def heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "os.mkdir" and os.path.isdir(arguments[0]):
            return  # it would say so first
        if event in ("os.mkdir", "os.rename", "os.link", "os.symlink", "sqlite3.connect"):
            self.meant(arguments[1 if event in ("os.link", "os.symlink") else 0])
        elif event == "open" and isinstance(arguments[2], int) and arguments[2] & _MAKING:
            self.meant(arguments[0])

    def meant(self, path: object) -> None:
        if not isinstance(path, str | Path) or not str(path).startswith(self.store):
            return
        with self.guard:
            self.left -= 1
            if self.left:
                return
        self.reached.write_text(str(path))
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), str(path))


@dataclass(frozen=True)
class Full:
    """What happened when the disk was full after ``count`` pages or files. ``code``: what the run ended with, empty
    when it succeeded; ``faults``: what was not as it should be; ``full``: whether it met the full disk at all."""

    kind: str
    count: int
    code: str
    faults: tuple[str, ...]
    full: bool = True


class Disk:
    """A folder with a file system of its own, below one that has room. Needs a mount namespace of ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.outside = folder / "outside"
        self.bodies = self.outside / "bodies"
        self.reached = folder / "reached"
        shutil.rmtree(folder, ignore_errors=True)
        self.store.mkdir(parents=True)
        self.outside.mkdir()
        (self.outside / "data").write_bytes(os.urandom(20_000))
        (self.outside / "value").write_text("7")

    def mounted(self, options: str) -> None:
        words = ["mount", "-t", "tmpfs", "-o", f"mode=700,{options}", "tiphys-test", str(self.store)]
        subprocess.run(words, check=True, capture_output=True)
        (self.store / "volumes").mkdir()
        (self.store / "volumes" / "outside").symlink_to(self.outside)
        self.bodies.write_bytes(b"")
        self.reached.unlink(missing_ok=True)

    def make_room(self) -> None:
        # the kernel tells the owner of the file system as the first namespace knows him: not to be said again
        words = ["mount", "--options-mode", "ignore", "-o", _ROOM, str(self.store)]
        subprocess.run(words, check=True, capture_output=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "-l", str(self.store)], check=True, capture_output=True)

    def options(self) -> dict[str, Json]:
        return {
            "store": self.store,
            "images": {flows.IMAGE: "host"},
            "env": {"BODIES": str(self.bodies)},
        }

    def begin(self, before: Callable[[], None] | None = None) -> Engine:
        flow = everything()
        workflow = flow.workflow(NAME)
        return Engine(
            NAME, self.folder, self.options(), workflow=workflow, context=list(flow.context), before=before
        )

    def go_on(self) -> Engine:
        """The same again: a run that there is goes on."""
        if (self.store / "runs" / NAME / "journal.db").exists():
            engine = Engine(NAME, self.folder, self.options())
            engine.wait(PATIENCE)
            if engine.answer().get("error") != "TIP226":  # killed before it began
                return engine
        return self.begin()


def everything() -> Flow:
    """A flow in which the engine writes all that it can write."""
    data = {"artifacts": [{"name": "o", "path": "/given/data"}]}
    told = {"parameters": [{"name": "v", "valueFrom": {"path": "/given/value"}}]}
    plain = {"artifacts": [{"name": "o", "path": "/given/data", "archive": {"none": {}}}]}
    given_item = flows.takes("i")
    named = ": /given/data /given/value"  # a step that does not name what it must make runs in a sandbox
    memo = {"key": "k-{{inputs.parameters.i}}", "cache": {"configMap": {"name": "memos"}}}
    short = 0.01
    given = [
        {"name": "i", "from": "{{steps.p.outputs.artifacts.o}}"},
        {"name": "r", "raw": {"data": "x" * 9000}},
    ]
    volumes = [
        {"name": "e", "emptyDir": {}},
        {"name": "c", "configMap": {"name": "given"}},
        {"name": "p", "persistentVolumeClaim": {"claimName": "claim"}},
    ]
    outside = [{"name": "o", "mountPath": "/given"}]
    mounts = [{"name": name, "mountPath": f"/mounted/{name}"} for name in "ecp"]
    takes = flows.body("q", short, "cat /tmp/i /tmp/r > /dev/null")
    takes["inputs"] = {"artifacts": [{"name": "i", "path": "/tmp/i"}, {"name": "r", "path": "/tmp/r"}]}
    mounted = _with(mounts, flows.body("m", short, volumes=volumes))
    two = [{"name": name, **flows.container(short)} for name in ("main", "b")]
    templates = [
        FLOWS[name].spec["templates"][-1] for name in ("config-map", "training-job", "child-workflow")
    ]
    create = FLOWS["config-map"].spec["templates"][2]
    steps = flows.steps(
        [flows.step("x", "memo", withItems=["1", "2"], arguments=flows.value("i", "{{item}}"))],
        [flows.step("p", "p"), flows.step("s", "script")],
        [flows.step("q", "q", arguments={"artifacts": given}), flows.step("l", "locked"), flows.step("set")],
        [flows.step("m", "m"), flows.step("say", arguments=flows.value("r", "{{steps.s.outputs.result}}"))],
        [flows.step("create"), flows.step("train"), flows.step("make")],
    )
    counted = {"name": "bodies_total", "help": "h", "counter": {"value": "1"}}
    return Flow(
        flows.spec(
            steps,
            flows.body("s", short, metrics={"prometheus": [counted]}),
            _with(
                outside,
                flows.body("memo", short, named, inputs=given_item, outputs={**data, **told}, memoize=memo),
            ),
            _with(outside, flows.body("p", short, named, outputs=plain)),
            flows.script("script", "echo hello", short),
            takes,
            flows.body(
                "locked",
                short,
                synchronization={"mutexes": [{"name": "one"}]},
                archiveLocation={"archiveLogs": True},
            ),
            {"name": "set", "containerSet": {"containers": two}},
            mounted,
            flows.body("say", short, inputs=flows.takes("r")),
            create,
            *templates[1:],
            volumes=[{"name": "o", "persistentVolumeClaim": {"claimName": "outside"}}],
        ),
        [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "given"}, "data": {"k": "v" * 5000}}],
    )


def _with(mounts: list[Json], template: dict[str, Json]) -> dict[str, Json]:
    return {**template, "container": {**template["container"], "volumeMounts": mounts}}


def uninterrupted(disk: Disk) -> tuple[State, Bodies]:
    """What the run leaves where there is room. Raises RuntimeError when it does not succeed."""
    disk.mounted("size=256m")
    try:
        engine = disk.begin()
        if not engine.wait(PATIENCE) or engine.answer().get("phase") != "Succeeded":
            raise RuntimeError(f"{engine.answer()}: {_why(disk)} {engine.said()[-2000:]}")
        return State.read(disk.store), Bodies.read(disk.bodies)
    finally:
        disk.unmount()


def fill(disk: Disk, kind: str, count: int, base: tuple[State, Bodies]) -> Full:
    """Run on a disk of ``count`` pages or files, or that has no room for that call; then make room, and go on."""
    disk.mounted(LIMITS[kind].format(count * PAGE if kind == "pages" else count))
    code, faults = "", list[str]()
    try:
        engine = disk.begin(NthCall(count, disk).install if kind == "calls" else None)
        if not engine.wait(PATIENCE):
            faults.append(f"hangs on the full disk: {engine.said()[-500:]}")
            return Full(kind, count, code, tuple(faults))
        answer = engine.answer()
        disk.make_room()
        if answer.get("phase"):
            if answer["phase"] != "Succeeded":
                faults.append(f"the run ended {answer['phase']}: {answer['message']}; {_why(disk)}")
        else:
            code = answer.get("error", "")
            if code != "TIP411":
                faults.append(f"{code or engine.code}: {answer.get('text') or engine.said()[-400:]}")
            engine = disk.go_on()
            ended = engine.wait(PATIENCE) and engine.answer()
            # TIP212: the record of its end was in place, and only the folder could not be flushed
            if not ended or (ended.get("phase") or ended.get("error")) not in ("Succeeded", "TIP212"):
                faults.append(f"does not go on: {engine.answer()} {engine.said()[-500:]}; {_why(disk)}")
        if not faults:
            faults += [
                f"{what}: {detail}" for what, detail in differences(base[0], State.read(disk.store)).items()
            ]
            if lost := base[1].ends.keys() - Bodies.read(disk.bodies).ends.keys():
                faults.append(f"bodies never ended: {sorted(lost)}")
    finally:
        disk.unmount()
    full = bool(code or faults) or (kind == "calls" and disk.reached.exists())
    return Full(kind, count, code, tuple(faults), full)


def _why(disk: Disk) -> str:
    """The messages of the nodes that failed."""
    path = disk.store / "runs" / NAME / "workflow.json"
    if not path.exists():
        return ""
    tree = State.read(disk.store).trees[NAME]
    return "; ".join(
        f"{node['name']}: {node['message']}"
        for node in tree["nodes"].values()
        if node["type"] == "Pod" and node["phase"] in ("Failed", "Error")
    )


def points(kind: str, step: int, first: int = 0) -> Iterator[int]:
    """How full the disk may be; 0 would be no limit."""
    count = {"pages": 1, "files": 4, "calls": 1}[kind] + first  # the folders of the volume are there
    while True:
        yield count
        count += step
