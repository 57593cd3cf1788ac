"""What is reused on the real controller: what each run hands on tells whether it computed."""

from __future__ import annotations

import hashlib
import shutil
import textwrap
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import Cluster, connect
from tiphys.runs import Client

pytestmark = [pytest.mark.cluster]

FILE = textwrap.dedent(
    """
    from typing import NamedTuple

    from tiphys import Reference
    from tiphys import Cache, Pipeline, component, unless_data, while_intact, while_metric

    class Made(NamedTuple):
        accuracy: float
        model: Reference
        name: str

    @component(cache=Cache.by_content() & {policy}, env={{"TEST": "{test}"}})
    def make(accuracy: float, records: int) -> Made:
        import os, time, uuid
        from tiphys.reference import resolve, seal
        name = uuid.uuid4().hex
        uri = "pvc://tiphys/models/" + os.environ["TIPHYS_CACHE_KEY"]
        folder = resolve(uri)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model").write_text(name)
        return Made(accuracy, Reference(uri, seal(folder)), name)

    with Pipeline("reuse") as pipeline:
        make(accuracy=pipeline.param("accuracy", 0.95), records=pipeline.param("records", 100))
    """
)

PLAIN = FILE.replace(" & {policy}", "")


class Bench:
    """One pipeline on the cluster, with keys of its own."""

    def __init__(self, client: Client, cluster: Cluster, folder: Path) -> None:
        self.client, self.cluster, self.test = client, cluster, uuid.uuid4().hex[:8]
        self.path = folder / "reuse.py"
        self.maps: dict[str, str] = {}  # of each key that was looked up

    def write(self, policy: str) -> None:
        self.path.write_text(FILE.format(policy=policy, test=self.test))

    def name(self, cache: Any = "auto", **parameters: object) -> str:
        """The name that a run's step gave to its result."""
        return self.outputs(cache, **parameters)["name"]

    def outputs(self, cache: Any = "auto", **parameters: object) -> dict[str, str]:
        made = self.client.submit(
            str(self.path), parameters=parameters, labels={"tiphys-test": "yes"}, cache=cache
        )
        result = self.client.wait(made.name, timeout=240)
        nodes = result.workflow["status"]["nodes"].values()
        assert result.succeeded, [(n["name"], n.get("message")) for n in nodes]
        self.maps |= {
            status["key"]: status["cacheName"] for n in nodes if (status := n.get("memoizationStatus"))
        }
        node = next(n for n in nodes if n["displayName"] == "make")
        return {item["name"]: item["value"] for item in node["outputs"]["parameters"]}


def a_deleted_artifact_is_a_miss(bench: Bench) -> None:
    bench.write("while_intact()")
    first = bench.outputs()
    assert bench.name() == first["name"]
    place = first["model"].partition("pvc://tiphys/")[2].partition('"')[0]
    shutil.rmtree(bench.cluster.volume / place)
    second = bench.name()
    assert second != first["name"] and bench.name() == second


def data_that_doubled_is_taken_in_again(bench: Bench) -> None:
    bench.write('unless_data("records", grew=2.0)')
    first = bench.name(records=100)
    assert bench.name(records=199) == first
    second = bench.name(records=200)
    assert second != first and bench.name(records=399) == second


def a_metric_below_the_bar_is_trained_again(bench: Bench) -> None:
    bench.write('while_metric("accuracy", ">=", 0.9)')
    good = bench.name(accuracy=0.95)
    assert bench.name(accuracy=0.95) == good
    bad = bench.name(accuracy=0.5)
    assert bench.name(accuracy=0.5) != bad
    bench.write('while_metric("accuracy", ">=", 0.96)')
    assert bench.name(accuracy=0.95) != good


def one_run_refreshes_or_neither_reads_nor_stores(bench: Bench) -> None:
    bench.path.write_text(PLAIN.format(test=bench.test))
    first = bench.name()
    never = bench.name("never")
    assert never != first and bench.name() == first
    fresh = bench.name("refresh")
    assert fresh not in (first, never) and bench.name() == fresh


def results_are_spread_over_maps(bench: Bench) -> None:
    """The controller replaces the tags in the name of a cache: no step's results end at 1 MiB."""
    bench.path.write_text(PLAIN.format(test=bench.test))
    first = bench.name()
    assert bench.name() == first
    bench.name(records=7)
    assert len(bench.maps) == 2
    for key, name in bench.maps.items():
        assert name == "tiphys-cache-make-" + hashlib.sha256(key.encode()).hexdigest()[:2]
        assert key in bench.cluster.get("configmap", name)["data"]


def equal_runs_at_once_compute_once(bench: Bench) -> None:
    bench.write("while_intact()")
    with ThreadPoolExecutor(4) as pool:
        names = [one.result() for one in [pool.submit(bench.name) for _ in range(4)]]
    assert len(set(names)) == 1


CASES: tuple[Callable[[Bench], None], ...] = (
    a_deleted_artifact_is_a_miss,
    data_that_doubled_is_taken_in_again,
    a_metric_below_the_bar_is_trained_again,
    one_run_refreshes_or_neither_reads_nor_stores,
    results_are_spread_over_maps,
    equal_runs_at_once_compute_once,
)


@pytest.fixture(scope="module")
def under_way(
    applied: Cluster, images: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[None]]]:
    """All cases, side by side: each waits most of the time, and has keys of its own."""
    with connect(applied) as client, ThreadPoolExecutor(len(CASES)) as pool:
        yield {
            case.__name__: pool.submit(case, Bench(client, applied, tmp_path_factory.mktemp("reuse")))
            for case in CASES
        }
    applied.kubectl("delete", "workflows", "-l", "tiphys-test=yes", "--wait=false")


@pytest.mark.parametrize("case", [each.__name__ for each in CASES])
def test_what_is_reused(under_way: Mapping[str, Future[None]], case: str) -> None:
    under_way[case].result()
