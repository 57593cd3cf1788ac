"""Cache keys: legal, made of code, image and inputs, and equal exactly when these are."""

from __future__ import annotations

import importlib
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.dsl import library
from tiphys import Cache, Pipeline, Reference, TFJob, component
from tiphys.compiler.line import Site
from tiphys.dsl.durations import go_duration
from tiphys.dsl.source.digest import module_code, step_code

HERE = Site(__file__, 1)


@component(cache=Cache.by_content(max_age="14d"))
def ingest(source: Reference, limit: int = 3) -> Reference:
    return source


DATA = Reference("pvc://tiphys/x", "sha256:" + "0" * 64)


def template(step: Any, name: str, image: str = "image:1", **arguments: Any) -> dict[str, Any]:
    with Pipeline("p", image=image) as pipeline:
        step(**arguments)
    found: dict[str, Any] = next(t for t in pipeline.to_dict()["spec"]["templates"] if t["name"] == name)
    return found


def test_a_cached_step_has_its_own_config_map_and_one_flight() -> None:
    body = template(ingest, "ingest", source=DATA)
    memo = body["memoize"]
    assert memo["maxAge"] == "336h"
    assert memo["cache"]["configMap"]["name"].startswith("tiphys-cache-ingest-{{=sprig.trunc(2, ")
    assert body["synchronization"] == {"mutexes": [{"name": memo["key"]}]}
    assert {"name": "TIPHYS_CACHE_KEY", "value": memo["key"]} in body["script"]["env"]


def test_the_key_is_a_hash_of_code_image_and_inputs() -> None:
    key = template(ingest, "ingest", source=DATA)["memoize"]["key"]
    digest = step_code(ingest.function, HERE).digest
    source = "inputs.parameters.source"
    assert key == (
        "{{='ingest-' + sprig.trunc(32, sprig.sha256sum(toJson("
        f"['{digest}:image:1', ({source} startsWith '{{' && (fromJSON({source}).digest ?? '') != '' "
        f"? fromJSON({source}).digest : {source} matches '-[0-9a-f]\\u007b32\\u007d(\"\\u007d)?$' "
        f"|| {source} in ['', 'null'] ? {source} : {source} + '@' + workflow.uid), "
        "inputs.parameters.limit])))}}"
    )


def test_another_image_is_another_key() -> None:
    keys = {template(ingest, "ingest", image=i, source=DATA)["memoize"]["key"] for i in "ab"}
    assert len(keys) == 2


def test_options_of_the_cache() -> None:
    def key(cache: Cache) -> str:
        body = template(ingest.using(cache=cache), "ingest", source=DATA)
        assert ("synchronization" in body) == cache.single_flight
        return str(body["memoize"]["key"])

    plain = key(Cache.by_content())
    assert key(Cache.by_content(version="2")) != plain
    assert "limit" not in key(Cache.by_content(ignore="limit"))
    assert key(Cache.by_content(single_flight=False)) == plain
    by_age = key(Cache.by_age("1h"))
    assert "['p/ingest', (inputs" in by_age and "image:1" not in by_age


def test_without_an_age_results_are_kept_for_ever() -> None:
    body = template(ingest.using(cache=Cache.by_content()), "ingest", source=DATA)
    assert body["memoize"]["maxAge"] == ""


@pytest.mark.parametrize(
    "age, duration",
    [
        ("14d", "336h"),
        ("2w", "336h"),
        ("36h", "36h"),
        ("90m", "1h30m"),
        ("1d 1h 1s", "25h1s"),
        ("2 weeks", "336h"),
        ("0.5h", "30m"),
        (timedelta(days=14), "336h"),
        (timedelta(seconds=59), "59s"),
        (None, ""),
    ],
)
def test_ages_become_go_durations(age: Any, duration: str) -> None:
    assert go_duration(age, "age", HERE) == duration


def write(folder: Path, **files: str) -> None:
    package = folder / "digested"
    package.mkdir(exist_ok=True)
    for name, text in files.items():
        (package / f"{name}.py").write_text(text, encoding="utf-8")


def digest_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.syspath_prepend(str(folder))
    for name in [n for n in sys.modules if n.split(".")[0] == "digested"]:
        del sys.modules[name]
    importlib.invalidate_caches()
    module = importlib.import_module("digested.steps")
    return step_code(module.step, HERE).digest


STEPS = """import json
from digested.helpers import first
from digested import constants
import math

LIMIT = 3


def step(x: int) -> int:
    from digested.lazy import later
    return first(x) + LIMIT + constants.A + later(x)


def unrelated(x: int) -> int:
    return x
"""
FILES = {
    "__init__": "",
    "steps": STEPS,
    "helpers": "def first(x):\n    return second(x)\n\ndef second(x):\n    return x + 1\n\ndef unused():\n    pass\n",
    "constants": "A = 1\n",
    "lazy": "def later(x):\n    return x\n",
}


@pytest.mark.parametrize(
    "file, old, new, changes",
    [
        ("steps", "+ LIMIT", "- LIMIT", True),
        ("steps", "LIMIT = 3", "LIMIT = 4", True),
        ("helpers", "x + 1", "x + 2", True),
        ("constants", "A = 1", "A = 2", True),
        ("lazy", "return x", "return -x", True),
        (
            "steps",
            "def unrelated(x: int) -> int:\n    return x",
            "def unrelated(x: int) -> int:\n    return 9",
            False,
        ),
        ("helpers", "pass", "return 1", False),
        ("steps", "import math", "import math\nimport random", False),
        ("steps", "import json\n", "import json\n\n\n", False),
    ],
)
def test_the_digest_follows_the_code_that_is_reached(
    file: str, old: str, new: str, changes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    write(tmp_path / "a", **FILES)
    assert old in FILES[file]
    write(tmp_path / "b", **{**FILES, file: FILES[file].replace(old, new)})
    with monkeypatch.context() as patch:
        before = digest_of(tmp_path / "a", patch)
    with monkeypatch.context() as patch:
        after = digest_of(tmp_path / "b", patch)
    assert (before != after) == changes


def test_the_digest_of_a_module_covers_what_it_imports_from_its_package() -> None:
    whole = module_code(library.__name__, str(library.__file__), HERE).digest
    assert len(whole) == 16 and whole != step_code(library.greet, HERE).digest
    assert step_code(library.other, HERE).digest != step_code(library.greet, HERE).digest


def test_the_key_of_a_training_is_worked_out_where_it_is_called() -> None:
    job = TFJob(library.train, workers=2, cache=Cache.by_content("14d"), instance="model")
    with Pipeline("p", image="image:1") as pipeline:
        epochs = pipeline.param("epochs", 2)
        job(data="d", model="cnn", epochs=epochs)
        job(data="d", model="it's", epochs=3)
    found = {t["name"]: t for t in pipeline.to_dict()["spec"]["templates"]}
    first, second = (
        next(p["value"] for p in t["arguments"]["parameters"] if p["name"] == "key")
        for t in found["main"]["dag"]["tasks"]
    )
    digest = module_code(library.__name__, str(library.__file__), HERE).digest
    assert first == (
        "{{='cnn' + '-' + sprig.trunc(32, sprig.sha256sum(toJson("
        f"['{digest}:image:1:2', 'd', workflow.parameters.epochs, 'cnn'])))}}}}"
    )
    assert r"'it\'s' + '-' +" in second
    train = found["train"]
    assert train["memoize"]["key"] == "{{inputs.parameters.key}}"
    assert train["synchronization"]["mutexes"] == [{"name": "train-{{inputs.parameters.key}}"}]


def test_other_hyperparameters_workers_or_images_are_other_keys() -> None:
    def key(workers: int = 2, image: str = "a", epochs: int = 1) -> str:
        with Pipeline("p", image=image) as pipeline:
            TFJob(library.train, workers=workers)(data="d", epochs=epochs)
        task = pipeline.to_dict()["spec"]["templates"][0]["dag"]["tasks"][0]
        return str(task["arguments"]["parameters"][-1]["value"])

    assert len({key(), key(workers=3), key(image="b"), key(epochs=2)}) == 4
    assert key() == key()
