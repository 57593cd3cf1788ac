"""Memoization that never lies, and locks between engines."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.engine.harness import Recorder, dag, execute, node, out, shell, value, workflow
from tiphys.cli import main
from tiphys.engine import CacheChecked, NodeChanged, RunOptions, RunResult, run
from tiphys.queue import Granted, Locks
from tiphys.reference import Reference, seal

CACHE = {"cache": {"configMap": {"name": "cache"}}}


def counted(tmp_path: Path, script: str = "", **more: object) -> dict[str, object]:
    """A memoized template that counts its executions in tmp_path/count."""
    line = f'echo x >> "$HERE/count"; mkdir -p /tmp/out; echo made > /tmp/out/x; {script}'
    template = shell("main", line, memoize={"key": "the-key", **CACHE}, **{"outputs": out("x"), **more})
    template["container"]["env"] = [{"name": "HERE", "value": str(tmp_path)}]
    return template


def times(tmp_path: Path) -> int:
    return len((tmp_path / "count").read_text().split())


def test_second_run_is_a_hit(tmp_path: Path) -> None:
    flow = workflow(counted(tmp_path))
    first, second = execute(tmp_path, flow), execute(tmp_path, flow)
    assert times(tmp_path) == 1
    assert value(second, second.name, "x") == "made"
    assert node(first, first.name)["memoizationStatus"] == {
        "hit": False,
        "key": "the-key",
        "cacheName": "cache",
    }
    assert node(second, second.name)["memoizationStatus"] == {
        "hit": True,
        "key": "the-key",
        "cacheName": "cache",
    }


def test_an_exported_entry_has_argos_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = execute(tmp_path, workflow(counted(tmp_path)))
    assert main(["cache", "export", "cache", "--store", str(tmp_path / "store"), "--json"]) == 0
    (config,) = json.loads(capsys.readouterr().out)["items"]
    assert config["kind"] == "ConfigMap"
    assert config["metadata"]["labels"] == {"workflows.argoproj.io/configmap-type": "Cache"}
    entry = json.loads(config["data"]["the-key"])
    assert list(entry) == ["nodeID", "outputs", "creationTimestamp", "lastHitTimestamp"]
    assert entry["nodeID"] == result.name
    assert entry["outputs"]["parameters"][0]["value"] == "made"
    assert entry["outputs"]["exitCode"] == "0"


def test_large_outputs_fill_no_cache(tmp_path: Path) -> None:
    """A ConfigMap holds 1 MiB; a step that did its work is not an Error because of that here."""
    template = counted(tmp_path, "head -c 400000 /dev/zero | tr '\\0' x > /tmp/out/x")
    template["memoize"] = {"key": "k-{{workflow.parameters.n}}", **CACHE}
    flow = workflow(template, arguments={"parameters": [{"name": "n"}]})
    ended = [execute(tmp_path, flow, parameters={"n": str(n)}) for n in (1, 2, 3, 1, 2, 3)]
    assert [each.phase for each in ended] == ["Succeeded"] * 6
    assert times(tmp_path) == 3
    assert all(value(each, each.name, "x") == "x" * 400_000 for each in ended)


def test_failure_is_not_cached(tmp_path: Path) -> None:
    flow = workflow(counted(tmp_path, "exit 1"))
    execute(tmp_path, flow)
    execute(tmp_path, flow)
    assert times(tmp_path) == 2


def publish(tmp_path: Path) -> str:
    """A folder in the claim, and the reference to it."""
    folder = tmp_path / "store/volumes/data/set"
    folder.mkdir(parents=True)
    (folder / "shard").write_text("content")
    return str(Reference("pvc://data/set", seal(folder)))


@pytest.mark.parametrize("how", ["changed", "gone", "truncated"])
def test_hit_is_refused_when_its_data_is_not_what_was_recorded(tmp_path: Path, how: str) -> None:
    template = counted(tmp_path, 'printf "%s" "$REF" > /tmp/out/x')
    template["container"]["env"].append({"name": "REF", "value": publish(tmp_path)})
    flow = workflow(template)
    execute(tmp_path, flow)
    execute(tmp_path, flow)
    assert times(tmp_path) == 1
    shard = tmp_path / "store/volumes/data/set/shard"
    if how == "changed":
        shard.write_text("CONTENT")
    elif how == "truncated":
        shard.write_text("con")
    else:
        shard.unlink()
    recorder = Recorder()
    assert execute(tmp_path, flow, observer=recorder).succeeded
    assert times(tmp_path) == 2
    (check,) = recorder.of(CacheChecked)
    assert not check.hit
    assert "shard" in check.why


def test_references_are_found_inside_json_and_lists(tmp_path: Path) -> None:
    reference = json.loads(publish(tmp_path))
    report = json.dumps([{"name": "cnn", **reference}])
    template = counted(tmp_path, 'printf "%s" "$REPORT" > /tmp/out/x')
    template["container"]["env"].append({"name": "REPORT", "value": report})
    execute(tmp_path, workflow(template))
    (tmp_path / "store/volumes/data/set/manifest.json").write_text("{}")
    execute(tmp_path, workflow(template))
    assert times(tmp_path) == 2


def test_hit_is_refused_when_an_artifact_is_gone(tmp_path: Path) -> None:
    outputs = {"artifacts": [{"name": "a", "path": "/tmp/out"}]}
    flow = workflow(counted(tmp_path, outputs=outputs))
    execute(tmp_path, flow)
    execute(tmp_path, flow)
    assert times(tmp_path) == 1
    (stored,) = (tmp_path / "store/artifacts/sha256").glob("*/*")
    stored.write_bytes(b"something else")
    recorder = Recorder()
    execute(tmp_path, flow, observer=recorder)
    assert times(tmp_path) == 2
    assert "another content" in recorder.of(CacheChecked)[0].why


def test_two_engines_that_want_the_same_thing_make_it_once(tmp_path: Path) -> None:
    """Single flight: mutex and memo on one template; the cache is asked again after the lock was granted."""
    flow = workflow(counted(tmp_path, "sleep 0.3", synchronization={"mutexes": [{"name": "m"}]}))
    results: list[RunResult] = []

    def work() -> None:
        results.append(run(flow, options=RunOptions(store=tmp_path / "store")))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.phase for result in results] == ["Succeeded"] * 3
    assert times(tmp_path) == 1


def test_semaphore_admits_its_limit_and_the_wait_is_visible(tmp_path: Path) -> None:
    """Each holder adds a line and removes it: never more than two at once."""
    script = (
        'touch "$HERE/in-$NAME"; ls "$HERE" | grep -c "^in-" >> "$HERE/seen"; sleep 0.2; rm "$HERE/in-$NAME"'
    )
    template = shell(
        "job",
        script,
        inputs={"parameters": [{"name": "i"}]},
        synchronization={"semaphores": [{"configMapKeyRef": {"name": "limits", "key": "gang"}}]},
    )
    template["container"]["env"] = [
        {"name": "HERE", "value": str(tmp_path)},
        {"name": "NAME", "value": "{{inputs.parameters.i}}"},
    ]
    tasks = [
        {"name": f"t{i}", "template": "job", "arguments": {"parameters": [{"name": "i", "value": str(i)}]}}
        for i in range(5)
    ]
    context = [{"kind": "ConfigMap", "metadata": {"name": "limits"}, "data": {"gang": "2"}}]
    recorder = Recorder()
    result = execute(tmp_path, workflow(dag(*tasks), template), context=context, observer=recorder)
    assert result.succeeded
    assert max(int(line) for line in (tmp_path / "seen").read_text().split()) == 2
    waiting = [each.node.get("message") for each in recorder.of(NodeChanged) if each.change == "waiting"]
    assert "Waiting for argo/ConfigMap/limits/gang lock. Lock status: 0/2" in waiting


def test_semaphore_without_its_configmap(tmp_path: Path) -> None:
    # recorded from the real controller
    template = shell(
        "job", "true", synchronization={"semaphores": [{"configMapKeyRef": {"name": "nosuch", "key": "a"}}]}
    )
    result = execute(tmp_path, workflow(dag({"name": "t", "template": "job"}), template))
    assert result.phase == "Error"
    expected = (
        f"task '{result.name}.t' errored: failed to initialize semaphore argo/ConfigMap/nosuch/a with limit"
    )
    assert node(result, "t")["message"] == expected


@pytest.mark.parametrize(
    ("limits", "message"),
    [({"activeDeadlineSeconds": 2}, "Step exceeded its deadline"), ({"timeout": "2s"}, "timeout")],
)
def test_who_waits_for_another_processs_lock_does_not_wait_beyond_the_limit(
    tmp_path: Path, limits: dict[str, object], message: str
) -> None:
    mutex = {"synchronization": {"mutexes": [{"name": "shared"}]}}
    holder = workflow(shell("main", "touch $HERE/held; exec sleep 600", **mutex))
    holder["spec"]["templates"][0]["container"]["env"] = [{"name": "HERE", "value": str(tmp_path)}]
    code = (
        "import json, sys; from tiphys.engine import RunOptions, run; "
        f"run(json.loads(sys.argv[1]), options=RunOptions(store={str(tmp_path / 'store')!r}, grace=0.1))"
    )
    with subprocess.Popen([sys.executable, "-c", code, json.dumps(holder)]) as process:
        try:
            while not (tmp_path / "held").exists():
                time.sleep(0.02)
            of_template = {key: value for key, value in limits.items() if key == "timeout"}
            of_workflow = {key: value for key, value in limits.items() if key != "timeout"}
            step = shell("inner", "true", **mutex, **of_template)
            main = {"name": "main", "steps": [[{"name": "inner", "template": "inner"}]]}
            began = time.monotonic()
            result = execute(tmp_path, workflow(main, step, **of_workflow))
            assert process.poll() is None and time.monotonic() - began < 15
        finally:
            process.kill()
    assert (result.phase, node(result, "inner")["message"]) == ("Failed", message)


def test_a_lock_that_one_waits_for_oneself_ends_at_the_deadline(tmp_path: Path) -> None:
    mutex = {"synchronization": {"mutexes": [{"name": "m"}]}}
    main = {"name": "main", "steps": [[{"name": "inner", "template": "inner"}]], **mutex}
    result = execute(tmp_path, workflow(main, shell("inner", "true", **mutex), activeDeadlineSeconds=2))
    assert (result.phase, node(result, "inner")["message"]) == ("Failed", "Step exceeded its deadline")


def test_a_run_that_ends_leaves_the_locks_of_others_in_its_process_alone(tmp_path: Path) -> None:
    locks = [Locks(tmp_path / "locks.db") for _ in range(2)]
    for number, each in enumerate(locks):
        assert isinstance(
            each.acquire(f"h{number}", [f"l{number}"], workflow=f"w{number}", limits={}), Granted
        )
    locks[0].close()
    assert [(each.name, each.holders) for each in locks[1].table()] == [("l1", ["h1"])]
    locks[1].close()
