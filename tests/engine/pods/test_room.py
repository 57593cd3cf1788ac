"""Pods that wait for cores and memory where somebody has said how much there is."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.engine.gpus import TELL, A, gpu
from tests.engine.harness import IMAGE, Recorder, dag, execute, node, shell, wait_until, workflow
from tests.engine.objects.test_seats import NOTES, gang, notes
from tests.engine.test_resources import creating, deployment, waiting
from tests.engine.test_steps_with_gpus import engine, finished, lines
from tiphys.engine import NodeChanged, stop_serving
from tiphys.engine.pods.room import requests
from tiphys.queue.permits import Permits

VOLUMES = [{"name": "notes", "persistentVolumeClaim": {"claimName": "notes"}}]
BODY = "echo begin >> /notes/lines; sleep 0.3; echo end >> /notes/lines"


@contextlib.contextmanager
def opened(tmp_path: Path, store: str = "store") -> Iterator[Permits]:
    (tmp_path / store).mkdir(exist_ok=True)
    with contextlib.closing(Permits(tmp_path / store / "locks.db")) as permits:
        yield permits


def there_are(tmp_path: Path, **sizes: int) -> None:
    with opened(tmp_path) as permits:
        for pool, size in sizes.items():
            permits.set_size(pool, size)


def asking(template: dict[str, Any], **resources: str) -> dict[str, Any]:
    """The template, with requests and a folder of notes."""
    container = template["container"]
    container["resources"] = {"requests": resources}
    container["volumeMounts"] = NOTES["mounts"]
    return template


def several(body: Mapping[str, Any], count: int = 3) -> Any:
    tasks = [{"name": f"t{at}", "template": body["name"]} for at in range(count)]
    return workflow(dag(*tasks), body, volumes=VOLUMES)


@pytest.mark.parametrize(
    ("sizes", "asks"),
    [
        ({"millicores": 1000}, {"cpu": "600m"}),
        ({"mebibytes": 1024}, {"memory": "0.6Gi"}),
        ({"millicores": 9000, "mebibytes": 1024}, {"cpu": "1", "memory": "513Mi"}),
        ({"millicores": 1000}, {"cpu": "8"}),  # more than there is: it has the machine for itself
    ],
)
def test_those_that_do_not_fit_together_run_one_by_one(
    tmp_path: Path, sizes: dict[str, int], asks: dict[str, str]
) -> None:
    there_are(tmp_path, **sizes)
    seen = Recorder()
    result = execute(tmp_path, several(asking(shell("body", BODY), **asks)), observer=seen)
    assert result.succeeded, result.message
    assert notes(tmp_path) == ["begin", "end"] * 3
    pool = next(iter(sizes)) if len(sizes) == 1 else "mebibytes"
    waited = [
        each.node.get("message", "") for each in seen.of(NodeChanged) if each.node["phase"] == "Pending"
    ]
    assert any(f"of pool {pool}" in each for each in waited), waited
    assert all("message" not in node(result, f"t{at}") for at in range(3))


@pytest.mark.parametrize("sizes", [{}, {"millicores": 2000}, {"other": 1}])
def test_those_that_fit_or_of_which_nobody_has_said_anything_run_at_once(
    tmp_path: Path, sizes: dict[str, int]
) -> None:
    there_are(tmp_path, **sizes)
    both = "touch /notes/$HOSTNAME; until test $(ls /notes | wc -l) = 2; do sleep 0.02; done"
    result = execute(tmp_path, several(asking(shell("body", both), cpu="1"), 2))
    assert result.succeeded, result.message


def test_the_file_of_rules_says_it_too(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "queue.toml").write_text("[pools]\nmillicores = 1500\n")
    result = execute(tmp_path, several(asking(shell("body", BODY), cpu="1")))
    assert result.succeeded, result.message
    assert notes(tmp_path) == ["begin", "end"] * 3


def test_whoever_requests_nothing_waits_for_nothing(tmp_path: Path) -> None:
    there_are(tmp_path, millicores=1000)
    holds = asking(shell("holds", "until test -e /notes/go; do sleep 0.02; done"), cpu="1")
    free = asking(shell("free", "touch /notes/go"))
    tasks = [{"name": name, "template": name} for name in ("holds", "free")]
    assert execute(tmp_path, workflow(dag(*tasks), holds, free, volumes=VOLUMES)).succeeded


def test_a_patch_requests_too(tmp_path: Path) -> None:
    there_are(tmp_path, millicores=1000)
    patch = json.dumps({"containers": [{"name": "main", "resources": {"requests": {"cpu": "1"}}}]})
    body = asking(shell("body", BODY, podSpecPatch=patch))
    assert execute(tmp_path, several(body)).succeeded
    assert notes(tmp_path) == ["begin", "end"] * 3


def test_two_gangs_never_have_half_each(tmp_path: Path) -> None:
    there_are(tmp_path, millicores=3000)
    made = []
    for at in range(2):
        job = gang(
            f"echo begin{at} >> /notes/lines; sleep 0.3; echo end{at} >> /notes/lines", name=f"job{at}"
        )
        spec = job["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]
        spec["containers"][0]["resources"] = {"requests": {"cpu": 1}}
        made.append({**waiting(job), "name": f"gang{at}"})
    tasks = [{"name": f"t{at}", "template": f"gang{at}"} for at in range(2)]
    result = execute(tmp_path, workflow(dag(*tasks), *made))
    assert result.succeeded, result.message
    seen = notes(tmp_path)
    first, second = seen[0][-1], seen[-1][-1]
    assert seen == [f"{word}{at}" for at in (first, second) for word in ("begin", "begin", "end", "end")]


def test_what_is_added_is_had_at_once(tmp_path: Path) -> None:
    there_are(tmp_path, millicores=1000)
    both = "touch /notes/$HOSTNAME; until test $(ls /notes | wc -l) = 2; do sleep 0.02; done"
    flow = several(asking(shell("body", both), cpu="1"), 2)
    running = threading.Thread(target=execute, args=(tmp_path, flow))
    running.start()
    with opened(tmp_path) as permits:
        wait_until(lambda: len(permits.view().waiting) == 1)
        permits.set_size("millicores", 2000)
    running.join(30)
    assert not running.is_alive()


def test_a_pool_that_is_closed_lets_nobody_in(tmp_path: Path) -> None:
    there_are(tmp_path, millicores=0)
    flow = workflow(asking(shell("main", "true"), cpu="1"), volumes=VOLUMES, activeDeadlineSeconds=1)
    result = execute(tmp_path, flow)
    assert result.phase == "Failed"
    with opened(tmp_path) as permits:
        assert not permits.view().waiting and not permits.view().holding


def test_who_waits_for_a_gpu_has_its_cores_already(tmp_path: Path, give: Any) -> None:
    give(A)
    there_are(tmp_path, millicores=2000)
    body = gpu(asking(shell("body", f"{TELL} >> /notes/lines; {BODY}")))
    body["container"]["resources"]["requests"] = {"cpu": "1"}
    result = execute(tmp_path, several(body))
    assert result.succeeded, result.message
    assert notes(tmp_path) == [f"[{A}] [{A}]", "begin", "end"] * 3


def test_what_outlives_its_engine_has_what_it_had_until_it_ends(tmp_path: Path) -> None:
    body = (
        f"cd /; cd {str(tmp_path)[1:]}; "  # not its own /tmp
        "echo begin >> lines; until test -e go; do sleep 0.02; done; echo end >> lines"
    )
    flow = workflow(asking(shell("main", body), cpu="1"), volumes=VOLUMES)
    there_are(tmp_path, millicores=1000)
    first = engine(tmp_path, "store", flow)
    wait_until(lambda: lines(tmp_path) == ["begin"])
    first.kill()
    finished(first)
    other = threading.Thread(
        target=execute, args=(tmp_path, workflow(asking(shell("main", "true"), cpu="500m"), volumes=VOLUMES))
    )
    other.start()
    with opened(tmp_path) as permits:
        wait_until(lambda: len(permits.view().waiting) == 1)
        again = engine(tmp_path, "store", None)
        with pytest.raises(subprocess.TimeoutExpired):
            again.wait(7)  # longer than what nobody comes for is kept
        assert other.is_alive() and len(permits.view().holding) == 1
        (tmp_path / "go").touch()
        assert finished(again) == "Succeeded"
        other.join(30)
        assert not other.is_alive() and not permits.view().holding
    assert lines(tmp_path) == ["begin", "end"]


def test_what_ended_while_there_was_no_engine_is_given_back(tmp_path: Path) -> None:
    there_are(tmp_path, millicores=1000)
    ends = f"cd /; cd {str(tmp_path)[1:]}; echo begin >> lines; until test -e go; do sleep 0.02; done"
    after = "echo begin >> /notes/lines"
    templates = [asking(shell("ends", ends), cpu="1"), asking(shell("after", after), cpu="1")]
    tasks = [{"name": name, "template": name} for name in ("ends", "after")]
    flow = workflow(dag(*tasks), *templates, volumes=VOLUMES)
    first = engine(tmp_path, "store", flow)
    wait_until(lambda: lines(tmp_path) == ["begin"])
    first.kill()
    finished(first)
    (tmp_path / "go").touch()
    assert finished(engine(tmp_path, "store", None)) == "Succeeded"
    with opened(tmp_path) as permits:
        assert not permits.view().holding and not permits.view().waiting


def test_a_server_that_is_left_running_keeps_its_own(tmp_path: Path) -> None:
    there_are(tmp_path, millicores=1000)
    manifest: Any = deployment("d", "a", replicas=1)
    manifest["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "700m"}}
    ready = creating(manifest, action="apply", successCondition="status.readyReplicas == 1")
    result = execute(tmp_path, workflow(ready), keep_serving=True)
    assert result.succeeded, result.message
    with opened(tmp_path) as permits:
        permits.news()
        assert permits.view().free["millicores"] == 300
        stop_serving(tmp_path / "store")
        wait_until(lambda: permits.news() and not permits.view().holding)


def test_counted_as_the_scheduler_counts() -> None:
    """https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers, and a
    limit alone is the request, too."""

    def asks(limits: Mapping[str, object] = {}, **given: object) -> Any:
        return {"image": IMAGE, "resources": {"requests": given, "limits": limits}}

    inits = [asks(cpu="1500m", memory="1Gi"), asks(cpu=1)]
    others = [asks(cpu="0.25", memory="700Mi"), asks({"cpu": "1", "memory": 2**30}), {"image": IMAGE}]
    assert requests(inits, others) == {"millicores": 1500, "mebibytes": 1724}
    assert requests([], others) == {"millicores": 1250, "mebibytes": 1724}
    assert requests([], [asks({"cpu": 4}, cpu="1u"), asks(cpu="odd", memory="-5Gi")]) == {
        "millicores": 1,
        "mebibytes": 0,
    }
