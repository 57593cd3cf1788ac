"""Caches go to a cluster and come back: what `tiphys cache export` writes, `tiphys cache import` and Argo read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tiphys.cli import main
from tiphys.errors import RefusedError, StoreError
from tiphys.reuse.configmaps import LIMIT, configmaps, entries_in, maps_in
from tiphys.reuse.entries import Entries
from tiphys.reuse.entry import CachedResult
from tiphys.store import Store

LABEL = {"workflows.argoproj.io/configmap-type": "Cache"}


def entry(key: str, size: int = 10, *, hit: float = 1.0, cache: str = "cache") -> CachedResult:
    outputs: Any = {"result": "x" * size}
    return CachedResult(cache, key, node="n", outputs=outputs, created=1.0, hit=hit)


def weight(config: Any) -> int:
    return sum(len(key) + len(text) for key, text in config["data"].items())


def test_one_configmap_where_it_fits() -> None:
    (config,), words = configmaps("cache", [entry("b"), entry("a")])
    assert (config["kind"], config["apiVersion"]) == ("ConfigMap", "v1")
    assert config["metadata"] == {"name": "cache", "labels": LABEL}
    assert list(config["data"]) == ["a", "b"]
    assert json.loads(config["data"]["a"])["nodeID"] == "n"
    assert words == []


def test_more_than_a_mebibyte_is_split_and_said() -> None:
    given = [entry(f"k{number}", 300_000, hit=float(number)) for number in range(7)]
    made, words = configmaps("cache", given, taken=["cache", "cache-2"])
    assert [config["metadata"]["name"] for config in made] == ["cache", "cache-3", "cache-4"]
    assert all(weight(config) <= LIMIT for config in made)
    assert all(config["metadata"]["labels"] == LABEL for config in made)
    assert sorted(key for config in made for key in config["data"]) == sorted(each.key for each in given)
    assert set(made[0]["data"]) == {"k6", "k5", "k4"}, "what was used last is where the steps look"
    (word,) = words
    assert "1048576" in word and "cache-4" in word


def test_what_no_configmap_can_hold_is_said() -> None:
    made, words = configmaps("cache", [entry("big", LIMIT), entry("k" * 300), entry("fine")])
    assert [list(config["data"]) for config in made] == [["fine"]]
    assert sorted("big" in word for word in words) == [False, True]


def test_a_map_without_the_label_is_refused() -> None:
    with pytest.raises(StoreError, match="refusing to use it"):
        entries_in({"kind": "ConfigMap", "metadata": {"name": "cache"}, "data": {}})


@pytest.mark.parametrize("name", ["", "Cache", "a/b"])
def test_a_name_that_no_configmap_has_is_refused(name: str) -> None:
    with pytest.raises(StoreError) as caught:
        entries_in({"kind": "ConfigMap", "metadata": {"name": name, "labels": LABEL}, "data": {}})
    assert caught.value.code == "TIP413"


def test_a_file_without_a_configmap_is_refused() -> None:
    with pytest.raises(RefusedError, match="no ConfigMap"):
        maps_in([{"kind": "Pod"}], "f.yaml")


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_export_and_import_are_inverse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    with Entries(here) as entries:
        for number in range(5):
            entries.save(entry(f"k{number}", cache="cache-a"))
        entries.save(entry("k", cache="cache-b"))
    assert main(["cache", "export", "--store", str(here.root), *words]) == 0
    text = capsys.readouterr().out
    documents = list(yaml.safe_load_all(text))
    assert documents[0]["kind"] == ("List" if words else "ConfigMap")
    file = tmp_path / "caches.yaml"
    file.write_text(text)
    assert main(["cache", "import", str(file), "--store", str(there.root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"cache": "cache-a", "entries": 5, "added": 5},
        {"cache": "cache-b", "entries": 1, "added": 1},
    ]
    with Entries(here) as mine, Entries(there) as theirs:
        assert [each.argo() for each in mine.all()] == [each.argo() for each in theirs.all()]
        theirs.save(entry("k", 77, cache="cache-b"))
    assert main(["cache", "import", str(file), "--store", str(there.root)]) == 0
    assert "cache-b: 0 of 1 entries are new" in capsys.readouterr().out
    with Entries(there) as theirs:
        kept = theirs.get("cache-b", "k")
        assert kept is not None and kept.outputs == {"result": "x" * 77}


def test_an_export_of_one_cache(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "store")
    with Entries(store) as entries:
        entries.add([entry("k", cache="cache-a"), entry("k", 1_200_000, cache="cache-b")])
    words = ["--store", str(store.root)]
    assert main(["cache", "export", "cache-a", *words]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["metadata"]["name"] == "cache-a"
    assert main(["cache", "export", "cache-b", *words]) == 0
    assert "left out" in capsys.readouterr().err
    assert main(["cache", "export", "nosuch", *words]) == 2
    assert "nosuch" in capsys.readouterr().err
