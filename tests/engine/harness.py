"""Short workflows and a recording observer for the engine's tests."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tiphys.engine import NodeChanged, Observation, RunOptions, RunResult, run
from tiphys.engine.runners.sandbox import SandboxRunner

Json = Any
_why_not = SandboxRunner().check()
sandboxed = pytest.mark.skipif(bool(_why_not), reason=f"no sandbox on this machine: {_why_not}")
RUNNERS = ["process", pytest.param("sandbox", marks=sandboxed)]
IMAGE = "tiphys/step:test"


class Recorder:
    """An observer that keeps everything."""

    def __init__(self) -> None:
        self.seen: list[Observation] = []

    def __call__(self, observation: Observation) -> None:
        self.seen.append(observation)

    def of(self, kind: type) -> list[Any]:
        return [each for each in self.seen if isinstance(each, kind)]

    def changes(self, display_name: str) -> list[str]:
        """What a node went through, progress aside."""
        return [
            each.change
            for each in self.of(NodeChanged)
            if each.node["displayName"] == display_name and each.change != "progress"
        ]


def shell(name: str, script: str, **more: Json) -> dict[str, Json]:
    """A container template that runs a shell line."""
    return {"name": name, "container": {"image": IMAGE, "command": ["sh", "-c", script]}, **more}


def python(name: str, source: str, **more: Json) -> dict[str, Json]:
    """A script template in Python."""
    return {"name": name, "script": {"image": IMAGE, "command": ["python"], "source": source}, **more}


def out(*names: str, **defaults: str) -> dict[str, Json]:
    """Output parameters read from /tmp/out/NAME."""
    parameters = [{"name": name, "valueFrom": {"path": f"/tmp/out/{name}"}} for name in names]
    for name, default in defaults.items():
        parameters.append({"name": name, "valueFrom": {"path": f"/tmp/out/{name}", "default": default}})
    return {"parameters": parameters}


def workflow(*templates: Mapping[str, Json], entrypoint: str = "", **spec: Json) -> dict[str, Json]:
    """A Workflow whose entry template is the first one given."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "test-"},
        "spec": {"entrypoint": entrypoint or templates[0]["name"], "templates": list(templates), **spec},
    }


def dag(*tasks: Mapping[str, Json], **more: Json) -> dict[str, Json]:
    return {"name": "main", "dag": {"tasks": list(tasks)}, **more}


def execute(
    tmp_path: Path,
    flow: Mapping[str, Json],
    *,
    context: Sequence[Mapping[str, Json]] = (),
    parameters: Mapping[str, str] | None = None,
    observer: Callable[[Observation], None] | None = None,
    invalid: str | None = None,
    **options: Json,
) -> RunResult:
    """Run in a store below ``tmp_path``. ``invalid=""``: without asking the judge, for what no API server takes."""
    chosen = RunOptions(
        store=tmp_path / "store", observer=observer, grace=options.pop("grace", 5.0), **options
    )
    return run(flow, parameters=parameters, context=context, options=chosen, invalid=invalid)


def node(result: RunResult, display_name: str) -> dict[str, Json]:
    """The node of that name; the run must have exactly one."""
    found = [
        each for each in result.workflow["status"]["nodes"].values() if each["displayName"] == display_name
    ]
    assert len(found) == 1, [each["name"] for each in result.workflow["status"]["nodes"].values()]
    return dict(found[0])


def value(result: RunResult, display_name: str, parameter: str) -> str:
    """An output parameter of a node."""
    for item in node(result, display_name)["outputs"]["parameters"]:
        if item["name"] == parameter:
            return str(item["value"])
    raise AssertionError(parameter)


def log(result: RunResult, display_name: str) -> str:
    return (result.folder / "logs" / f"{node(result, display_name)['id']}.log").read_text()


def wait_until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something that has no event; fails the test when it does not come."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def marked(mark: str) -> list[int]:
    """The live processes that have ``mark`` in their command line."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                line = Path(f"/proc/{entry}/cmdline").read_bytes()
            except OSError:
                continue
            if mark.encode() in line and alive(int(entry)):
                found.append(int(entry))
    return found
