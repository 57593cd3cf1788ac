"""Parameters that are lists or objects: given as JSON, checked before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tiphys
from tiphys import DefinitionError, Pipeline, RefusedError, component, for_each
from tiphys.engine import RunOptions


@component
def train(rate: float, options: dict[str, int]) -> float:
    return rate * options["times"]


def sweep() -> Pipeline:
    with Pipeline("sweep") as pipeline:
        rates = pipeline.param("rates", [0.5, 1])
        options = pipeline.param("opts", {"times": 2})
        train(rate=for_each(rates), options=options)
    return pipeline


def run(tmp_path: Path, **given: Any) -> list[str]:
    options = RunOptions(store=tmp_path / "store", images={"*": "host"}, handle_signals=False)
    result = tiphys.run(sweep(), options=options, **given)
    assert result.succeeded, result.message
    nodes = result.workflow["status"]["nodes"].values()
    return sorted(
        n["outputs"]["parameters"][0]["value"] for n in nodes if n["displayName"].startswith("train(")
    )


def test_a_list_and_an_object_are_given_as_json(tmp_path: Path) -> None:
    assert run(tmp_path) == ["1.0", "2.0"] or run(tmp_path) == ["1.0", "2"]
    assert run(tmp_path, rates="[0.25]", opts='{"times": 4}') == ["1.0"]
    assert run(tmp_path, rates=[0.25, 0.5], opts={"times": 4}) == ["1.0", "2.0"]


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"rates": "0.1"}, "a JSON list"),
        ({"rates": "[0.1"}, "a JSON list"),
        ({"rates": '["a"]'}, "a number"),
        ({"rates": "[true]"}, "a number"),
        ({"opts": "[1]"}, "a JSON object"),
        ({"opts": '{"times": 0.5}'}, "a whole number"),
    ],
)
def test_what_is_another_is_refused(tmp_path: Path, given: dict[str, str], word: str) -> None:
    with pytest.raises(RefusedError) as caught:
        run(tmp_path, **given)
    assert caught.value.code == "TIP281" and word in caught.value.message


def test_what_is_no_type_of_a_parameter() -> None:
    for kind, default in ((complex, 1j), (list[complex], []), (list[int], ["a"])):
        with pytest.raises(DefinitionError) as caught:
            Pipeline("p").param("x", default, type=kind)
        assert caught.value.code in ("TIP105", "TIP109") and "test_parameters.py" in caught.value.where
