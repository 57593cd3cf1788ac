"""The results of one step are spread over maps by key, since a cluster's ConfigMap ends at 1 MiB; here they are one."""

from __future__ import annotations

import hashlib
import textwrap
from pathlib import Path

import tiphys
from tiphys.engine import RunOptions
from tiphys.reuse.explain import explain
from tiphys.store import Store

FILE = textwrap.dedent(
    """
    from tiphys import Cache, Pipeline, component

    @component(cache=Cache.by_content())
    def work(n: int) -> int:
        return n

    with Pipeline("maps") as pipeline:
        work(n=pipeline.param("n", 1))
    """
)


def test_each_key_has_its_map_and_the_nearest_entry_is_looked_for_in_all(tmp_path: Path) -> None:
    path = tmp_path / "maps.py"
    path.write_text(FILE)
    options = RunOptions(store=tmp_path / "store", handle_signals=False)
    hits: list[bool] = []
    names: list[str] = []
    for n in (1, 2, 3, 4, 1):
        nodes = tiphys.run(str(path), options=options, n=n).workflow["status"]["nodes"].values()
        status = next(node["memoizationStatus"] for node in nodes if "memoizationStatus" in node)
        hits.append(status["hit"])
        names.append(status["cacheName"])
        assert (
            status["cacheName"]
            == "tiphys-cache-work-" + hashlib.sha256(status["key"].encode()).hexdigest()[:2]
        )
    assert hits == [False, False, False, False, True]
    assert len(set(names)) > 1
    found = list(explain(Store(tmp_path / "store"), "work-"))
    assert sum(each.nearest is not None for each in found) >= 3
