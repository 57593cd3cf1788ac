"""Starting a worker for a target, watching that it goes on, and adding up what it says."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.fuzz.worker import STATE, state_of

__all__ = ["Report", "attack"]

ROOT = Path(__file__).resolve().parents[2]
_STUCK = 30.0  # seconds of processor time with one input, in code that no signal of Python's reaches
_BLOCKED = 300.0  # seconds with one input, whatever the processor does
_TICK = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass
class Report:
    """What came of one target."""

    target: str
    inputs: int = 0
    ends: dict[str, int] = dataclasses.field(default_factory=dict)
    findings: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    slowest: tuple[float, str] = (0.0, "")
    growth_mb: float = 0.0
    peak_mb: float = 0.0
    cpu_s: float = 0.0

    @property
    def hangs(self) -> int:
        return sum(each["count"] for end, each in self.findings.items() if end in ("hang", "killed"))

    @property
    def tracebacks(self) -> int:
        return sum(each["count"] for each in self.findings.values()) - self.hangs

    def told(self) -> str:
        """Each finding with its smallest input."""
        return "\n".join(
            f"{self.target}: {end} ({each['count']} times)\n  {each['said']}\n  input: {_short(ascii(each['input']))}"
            for end, each in self.findings.items()
        )


def _short(text: str) -> str:
    return text if len(text) < 400 else f"{text[:300]}… ({len(text)} characters)"


def attack(target: str, inputs: int, seed: int = 1) -> Report:
    """So many inputs against a target, in a process of its own; one that is stuck is killed, and another goes on."""
    report = Report(target)
    first = 0
    with tempfile.TemporaryDirectory(prefix="tiphys-fuzz-") as folder:
        state = Path(folder, "state")
        while first < inputs:
            state.write_bytes(bytes(STATE))
            scratch = Path(folder, "scratch")
            scratch.mkdir(exist_ok=True)
            words = [
                "--seed",
                str(seed),
                "--first",
                str(first),
                "--inputs",
                str(inputs),
                "--state",
                str(state),
            ]
            said = Path(folder, "said")  # a pipe holds 64 KiB
            with (
                said.open("wb") as out,
                subprocess.Popen(
                    [sys.executable, "-m", "tests.fuzz.worker", target, *words],
                    cwd=ROOT,
                    env={**os.environ, "PYTHONPATH": f"{ROOT}/sdk:{ROOT}", "TMPDIR": str(scratch)},
                    stdout=out,
                ) as process,
            ):
                stuck = _watched(process, state)
            answer = said.read_bytes() if not process.returncode else b""
            number, given = state_of(state.read_bytes())
            if answer:
                _add(report, json.loads(answer))
                break
            report.inputs += number + 1 - first
            known = report.findings.setdefault("killed", {"count": 0, "input": given, "said": stuck})
            known["count"] += 1
            if process.returncode not in (-9, -11, -6) and not stuck:
                raise RuntimeError(f"the worker of {target} ended with {process.returncode}")
            known["said"] = known["said"] or f"the process ended with {process.returncode}"
            if known["count"] > 20:
                break
            first = number + 1
    return report


def _watched(process: subprocess.Popen[bytes], state: Path) -> str:
    """Wait for its end; kill it when it does not go on, and say why."""
    seen, since, begin = -2, time.monotonic(), 0.0
    while True:
        try:
            process.wait(0.2)
            return ""
        except subprocess.TimeoutExpired:
            pass
        now, spent = time.monotonic(), _spent(process.pid)
        with state.open("rb") as file:
            number = int.from_bytes(file.read(8), "little", signed=True)
        if number != seen:
            seen, since, begin = number, now, spent
        elif number >= 0 and (spent - begin > _STUCK or now - since > _BLOCKED):
            process.kill()
            return f"stuck for {spent - begin:.0f} s of processor time, {now - since:.0f} s in all"


def _spent(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK


def _add(report: Report, said: dict[str, Any]) -> None:
    report.inputs += said["inputs"]
    report.ends.update(said["ends"])
    report.findings.update(said["findings"])
    report.slowest = max(report.slowest, tuple(said["slowest"]))
    report.growth_mb = said["end_mb"] - said["warm_mb"]
    report.peak_mb = max(report.peak_mb, said["peak_mb"])
    report.cpu_s += said["cpu_s"]
