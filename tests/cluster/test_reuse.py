"""Reuse beside semaphores on the real controller: a hit takes no slot, and equal steps wait for each other only."""

from __future__ import annotations

import contextlib
import textwrap
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import Cluster, connect
from tiphys.reuse.limits import FRESH, CacheLimits
from tiphys.runs import Client
from tiphys.runs.cluster.caches import collect
from tiphys.runs.cluster.config import kubernetes_transport
from tiphys.runs.cluster.kubernetes import Kubernetes

pytestmark = [pytest.mark.cluster]

FILE = textwrap.dedent(
    """
    from tiphys import Cache, Pipeline, Semaphore, component

    @component(cache=Cache.by_content(version="{version}"), locks=[Semaphore("reuse-{version}", {limit})])
    def work(n: int, seconds: int) -> int:
        import time
        time.sleep(seconds)
        return n

    with Pipeline("reuse") as pipeline:
    {body}
    """
)
WAIT = 420.0


@pytest.fixture
def version() -> str:
    """Nothing is cached for it, and nobody has its semaphore."""
    return uuid.uuid4().hex[:8]


def submit(client: Client, folder: Path, version: str, limit: int, *calls: str) -> str:
    path = folder / "reuse.py"
    path.write_text(
        FILE.format(version=version, limit=limit, body="\n".join(f"    {call}" for call in calls))
    )
    return client.submit(path, labels={"tiphys-test": "yes"}).name


def api_of(cluster: Cluster) -> Kubernetes:
    """As the administrator of the cluster: a user's role does not list ConfigMaps."""
    transport, _ = kubernetes_transport(cluster.env["KUBECONFIG"])
    return Kubernetes(transport)


def steps(workflow: Any) -> dict[str, Any]:
    return {n["displayName"]: n for n in workflow["status"]["nodes"].values() if "memoizationStatus" in n}


def waits(node: Any, version: str) -> bool:
    """Whether it waits for a slot. (``status.synchronization`` keeps who waited after it has what it waited for.)"""
    lock = (node.get("synchronizationStatus") or {}).get("waiting") or ""
    return node["phase"] == "Pending" and f"reuse-{version}" in lock


def slots_of(workflow: Any, version: str) -> int:
    """How many slots it holds."""
    found = (workflow["status"].get("synchronization") or {}).get("semaphore") or {}
    locks = found.get("holding") or []
    return sum(len(lock["holders"]) for lock in locks if f"reuse-{version}" in lock["semaphore"])


def test_equal_steps_leave_the_slots_to_others(
    images: None, cluster: Cluster, tmp_path: Path, version: str
) -> None:
    """Twelve steps, and the equal of each, behind four slots: while one waits for a slot, all four are held."""
    calls = [f'work(n={n}, seconds=6).named("{name}-{n}")' for n in range(12) for name in ("one", "two")]
    seen: list[int] = []
    with connect(cluster) as client:
        name = submit(client, tmp_path, version, 4, *calls)
        for state in client.watch(name, timeout=WAIT):
            if any(waits(node, version) for node in (state.workflow["status"].get("nodes") or {}).values()):
                seen.append(slots_of(state.workflow, version))
    assert state.phase == "Succeeded"
    hits = [step["memoizationStatus"]["hit"] for step in steps(state.workflow).values()]
    assert (hits.count(False), hits.count(True)) == (12, 12)
    assert len(seen) >= 8  # states in which somebody waited
    assert sum(seen) >= 0.99 * 4 * len(seen)


def test_a_hit_does_not_wait_for_a_slot(images: None, cluster: Cluster, tmp_path: Path, version: str) -> None:
    with connect(cluster) as client:
        first = client.wait(submit(client, tmp_path, version, 1, "work(n=1, seconds=0)"), timeout=WAIT)
        assert first.phase == "Succeeded"
        slow = submit(client, tmp_path, version, 1, "work(n=2, seconds=60)")
        cluster.until(
            "the slot is taken",
            lambda: slots_of(client.get(slow).workflow, version),
        )
        again = client.wait(submit(client, tmp_path, version, 1, "work(n=1, seconds=0)"), timeout=WAIT)
        assert again.phase == "Succeeded"
        assert client.get(slow).phase == "Running"  # the slot was taken all the time
        client.terminate(slow)
    (step,) = steps(again.workflow).values()
    assert step["memoizationStatus"]["hit"] is True


def test_ten_equal_runs_compute_once_and_one_takes_over_from_the_killed(
    images: None, cluster: Cluster, tmp_path: Path, version: str
) -> None:
    """The run that computes is deleted while it does: another one computes, and the eight that are left hit."""
    with connect(cluster) as client:
        names = [submit(client, tmp_path, version, 4, "work(n=1, seconds=15)") for _ in range(10)]

        def computing() -> str:
            pods = cluster.get("pods", "-l", "workflows.argoproj.io/completed=false")
            running = {
                pod["metadata"]["labels"]["workflows.argoproj.io/workflow"]
                for pod in pods
                if pod["status"]["phase"] == "Running"
            }
            return next(iter(running & set(names)), "")

        killed = cluster.until("one computes", computing)
        cluster.kubectl("delete", "workflow", killed, "--wait=false")
        ends = [client.wait(name, timeout=WAIT) for name in names if name != killed]
    assert [end.phase for end in ends] == ["Succeeded"] * 9
    hits = [step["memoizationStatus"]["hit"] for end in ends for step in steps(end.workflow).values()]
    assert (hits.count(False), hits.count(True)) == (1, 8)


REFERENCES = textwrap.dedent(
    """
    from tiphys import Cache, Pipeline, Reference, component

    @component
    def make(digest: str) -> Reference:
        return Reference("pvc://tiphys/reuse", digest)

    @component(cache=Cache.by_content(version="{version}"))
    def count(data: Reference, n: int) -> str:
        return data.digest

    with Pipeline("references") as pipeline:
        count(data=make(digest="sha256:" + "0" * 64).named("sealed"), n=1).named("with")
        count(data=make(digest="").named("open"), n=2).named("without")
        count(data=pipeline.param("data", "pvc://tiphys/reuse"), n=3).named("bare")
    """
)


def test_a_reference_without_a_digest_is_never_the_reason_of_a_hit(
    images: None, cluster: Cluster, tmp_path: Path, version: str
) -> None:
    path = tmp_path / "references.py"
    path.write_text(REFERENCES.format(version=version))
    seen = []
    with connect(cluster) as client:
        for _ in range(2):
            end = client.wait(client.submit(path, labels={"tiphys-test": "yes"}).name, timeout=WAIT)
            assert end.phase == "Succeeded"
            marks = {name: step["memoizationStatus"]["hit"] for name, step in steps(end.workflow).items()}
            seen.append(marks)
    assert seen == [
        {"with": False, "without": False, "bare": False},
        {"with": True, "without": False, "bare": False},
    ]


def test_a_cluster_s_caches_keep_their_limits(
    images: None, cluster: Cluster, tmp_path: Path, version: str
) -> None:
    """What was not used for longest goes and is computed again; what was used since is a hit; a cache that the
    controller writes meanwhile is read again."""
    calls = [f"work(n={n}, seconds=0)" for n in range(3)]

    def marks(client: Client, *chosen: str) -> list[tuple[bool, str]]:
        """Of each step in order: whether it was a hit, and its key."""
        end = client.wait(submit(client, tmp_path, version, 3, *chosen), timeout=WAIT)
        found = [step for _, step in sorted(steps(end.workflow).items())]
        return [(step["memoizationStatus"]["hit"], step["memoizationStatus"]["key"]) for step in found]

    with connect(cluster) as client, contextlib.closing(api_of(cluster)) as api:
        made = marks(client, *calls)
        assert [hit for hit, _ in made] == [False] * 3
        keys = [key for _, key in made]
        time.sleep(1.5)  # times in a cache are whole seconds
        assert marks(client, calls[2]) == [(True, keys[2])]
        limits, later = CacheLimits(max_entries=1), time.time() + 2 * FRESH

        def gone(**options: Any) -> list[str]:
            """Which of these three go (other tests have caches here, too)."""
            found = {key for _, key in collect(api, "argo", limits, **options).entries}
            return [key for key in keys if key in found]

        assert gone() == []  # each was used a moment ago
        assert gone(now=later, dry_run=True) == keys[:2]
        assert gone(now=later) == keys[:2]
        assert gone(now=later) == []
        assert [hit for hit, _ in marks(client, *calls)] == [False, False, True]


LARGE = textwrap.dedent(
    """
    from tiphys import Cache, Pipeline, Volume, component

    @component(cache=Cache.by_content(version="{version}"))
    def make(letter: str) -> str:
        return letter * 400_000

    @component
    def read(text: str) -> str:
        return f"{{len(text)}} {{text[0]}} {{len(set(text))}}"

    with Pipeline("large", volumes=[Volume("tiphys")]) as pipeline:
        for letter in "abc":
            read(text=make(letter=letter).named(f"make-{{letter}}")).named(f"read-{{letter}}")
    """
)


def test_large_results_are_handed_on_and_taken_again(
    images: None, cluster: Cluster, tmp_path: Path, version: str
) -> None:
    """Three texts of 400 kB would fill one map and fit no variable: they are files of the claim."""
    path = tmp_path / "large.py"
    path.write_text(LARGE.format(version=version))
    with connect(cluster) as client:
        for hit in (False, True):
            end = client.wait(client.submit(path, labels={"tiphys-test": "yes"}).name, timeout=WAIT)
            assert end.phase == "Succeeded", end.failures
            assert [step["memoizationStatus"]["hit"] for step in steps(end.workflow).values()] == [hit] * 3
            said = {
                node["displayName"]: node["outputs"]["parameters"][0]["value"]
                for node in end.workflow["status"]["nodes"].values()
                if node["displayName"].startswith(("make-", "read-")) and node.get("outputs")
            }
            assert {said[f"read-{letter}"] for letter in "abc"} == {f"400000 {letter} 1" for letter in "abc"}
            assert all(len(said[f"make-{letter}"]) < 400 for letter in "abc")
