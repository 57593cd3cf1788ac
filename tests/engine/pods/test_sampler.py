"""What pods were seen to use, beside what their programs are known to use."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import RUNNERS, execute, node, python, shell, wait_until, workflow
from tests.engine.outliving.world import World
from tiphys.engine.pods import sampler
from tiphys.engine.pods.sampler import thinned

MIB = 1 << 20
PYTHONS = 12 * MIB  # what a Python that does nothing may have


def samples(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]


def peak(folder: Path) -> int:
    return max(each.get("peak_memory", 0) for each in samples(folder))


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("hold", ["", "; time.sleep(0.6)"], ids=["gone at once", "seen"])
def test_the_peak_is_the_truth(runner: str, hold: str, tmp_path: Path) -> None:
    """Also where the program has ended before anyone looked, and of a child."""
    line = f"import time; x = bytearray(b'x') * (240 << 20){hold}; del x"
    flow = workflow(shell("main", f'python -c "{line}"'))
    result = execute(tmp_path, flow, runner=runner)
    assert result.phase == "Succeeded"
    assert 0.95 * 240 * MIB <= peak(result.folder) <= 1.05 * 240 * MIB + PYTHONS


def test_seconds_of_all_processes_are_counted(tmp_path: Path) -> None:
    burn = "import time\\nwhile time.process_time() < 0.4: pass"
    flow = workflow(shell("main", f"for i in 1 2; do printf '{burn}' | python -; done"))
    result = execute(tmp_path, flow)
    assert 0.8 <= samples(result.folder)[-1]["cpu"] <= 1.5


def test_seconds_go_on_after_an_init_container(tmp_path: Path) -> None:
    burn = {"image": "tiphys/step:test", "command": ["python", "-c"]}
    first = {"name": "first", **burn, "args": ["import time\nwhile time.process_time() < 0.3: pass"]}
    result = execute(tmp_path, workflow(shell("main", "true", initContainers=[first])))
    told = [each["cpu"] for each in samples(result.folder)]
    assert told == sorted(told) and 0.3 <= told[-1] < 1


@pytest.mark.parametrize("runner", RUNNERS)
def test_one_that_was_killed_for_its_memory(runner: str, tmp_path: Path) -> None:
    limit = {"resources": {"limits": {"memory": "150Mi"}}}
    source = "x = []\nimport tiphys\ntiphys.report(epoch=1, of=2)\nwhile True: x.append(bytearray(b'x') * (1 << 20))"
    template = python("main", source)
    template["script"] |= limit
    result = execute(tmp_path, workflow(template), runner=runner)
    assert "OOMKilled" in node(result, result.name)["message"]
    assert peak(result.folder) > 150 * MIB
    (told,) = (result.folder / "reports").rglob("*.jsonl")
    assert json.loads(told.read_text())["epoch"] == 1


def test_the_last_sample_of_a_killed_step_is_of_its_end(tmp_path: Path) -> None:
    source = "import os, tiphys, time\ntiphys.report(epoch=1, of=9)\ntime.sleep(1.5)\nos.kill(os.getpid(), 9)"
    before = time.time()
    result = execute(tmp_path, workflow(python("main", source)))
    last = samples(result.folder)[-1]
    assert (last["end"], last["memory"]) == (137, 0)
    told = json.loads(next((result.folder / "reports").rglob("*.jsonl")).read_text())
    assert before < told["at"] + 1.5 <= last["at"] + 0.1


def test_of_a_killed_engine_the_samples_are_there_and_the_next_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path, "process")
    world.start(workflow(shell("main", "until test -e /notes/go; do sleep 0.05; done")))
    file = world.store / "runs" / "wf" / "samples.jsonl"
    wait_until(file.exists)
    at = time.time()
    world.kill()
    assert at - samples(file.parent)[-1]["at"] <= 5.0
    with file.open("a") as stream:
        stream.write('{"at": 3, "no')  # as of one that was killed while it wrote
    world.go_on()
    world.let_go()
    assert world.engine is not None
    world.engine.communicate(timeout=30)
    assert world.ended().phase == "Succeeded"
    read = file.read_text().splitlines()
    assert json.loads(read[-1])["end"] == 0
    assert read.count('{"at": 3, "no') == 1


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_step_that_says_nothing_leaves_nothing(runner: str, tmp_path: Path) -> None:
    result = execute(tmp_path, workflow(shell("main", "true")), runner=runner)
    assert list((result.folder / "reports").iterdir()) == []


class Network:
    """Stands for /proc: in which network namespace each process is, and what went through each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, own: dict[int, str]) -> None:
        self.own, self.counted = own, dict.fromkeys(own.values(), (0, 0))
        monkeypatch.setattr(sampler, "_namespace", lambda pid: self.own.get(pid, "machine"))
        monkeypatch.setattr(sampler, "_bytes_of", lambda pid: self.counted[self.own[pid]])


def test_bytes_are_a_pods_while_it_is_alone_in_its_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = Network(monkeypatch, {1: "run", 2: "run"})
    made = sampler.Sampler(None, tmp_path)  # type: ignore[arg-type]
    first, second, third = (sampler._Pod(name, "") for name in "abc")
    made._pods = {("a", ""): first, ("c", ""): third}
    first.seen, third.seen = {1: sampler._Seen()}, {3: sampler._Seen()}
    for received, pods in [(5, "a"), (9, "a"), (20, "ab"), (30, "ab"), (31, "a"), (33, "a")]:
        net.counted["run"] = (received, 2 * received)
        made._pods.pop(("b", ""), None)
        if "b" in pods:
            made._pods["b", ""], second.seen = second, {2: sampler._Seen()}
        made._look_at_networks()
    assert first.network is not None and second.network is not None
    assert (first.network.received, first.network.sent) == (4 + 2, 8 + 4)
    assert (second.network.received, third.network) == (0, None)


def test_a_long_file_is_thinned_and_keeps_its_ends() -> None:
    lines = [
        json.dumps(
            {"at": at, "node": f"n{at % 3}", **({"worker": "worker-1"} if at % 3 else {}), "cpu": at / 10}
        )
        for at in range(3000)
    ]
    lines += [
        '{"at": 3000, "node": "n1", "cpu": 300, "end": 0}',
        '{"at": 3001, "node": "n1", "event": "failed"}',
    ]
    data = "".join(f"{line}\n" for line in lines).encode()
    kept = thinned(data).decode().splitlines()
    assert kept[-2:] == lines[-2:]
    assert Counter(json.loads(line)["node"] for line in kept[:-2]) == {"n0": 500, "n1": 500, "n2": 500}
    assert (
        len(thinned(b"".join(b'{"node": "n", "event": "%d"}\n' % n for n in range(200_000))))
        <= (4 << 20) * 0.8
    )


def test_a_file_never_grows_beyond_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "_LARGEST", 2000)
    made = sampler.Sampler(None, tmp_path)  # type: ignore[arg-type]
    made._loop = type("Clock", (), {"now": lambda self: time.time(), "call_at": lambda *_: None})()
    for number in range(300):
        made.event("node", "worker-1", "failed", "x" * 50, number)
        made.flush()
        assert (tmp_path / "samples.jsonl").stat().st_size <= 2000 + 200
    assert samples(tmp_path)[-1]["exit_code"] == 299
