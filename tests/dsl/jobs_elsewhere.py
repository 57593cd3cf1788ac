"""What is asked of jobs of a kind that runs on a cluster alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import tiphys
from tests.cluster.upstream import misfits, published
from tests.dsl import library
from tests.tools import argo_lint
from tiphys import Cache, DefinitionError, Fake, Gang, Pipeline, with_fakes
from tiphys.engine import RunOptions
from tiphys.errors import RefusedError

__all__ = ["OPTIONS", "check_legal", "check_refused", "check_wrong", "training"]

Make = Callable[..., Any]
OPTIONS: list[dict[str, Any]] = [
    {"gang": Gang()},
    {"workers": 1},
    {"workers": 3, "instance": "model", "gang": Gang(capacity=6), "cache": Cache.by_content()},
]


def _pipeline(make: Make, **options: Any) -> Pipeline:
    with Pipeline("p") as pipeline:
        make(library.train, **options)(data="d")
    return pipeline


def training(make: Make, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The template that makes the job, and its manifest."""
    spec = list(yaml.safe_load_all(tiphys.to_yaml(_pipeline(make, **options))))[-1]["spec"]
    (template,) = (each for each in spec["templates"] if "manifest" in each.get("resource", {}))
    return template, json.loads(template["resource"]["manifest"])


def check_legal(kind: str, make: Make, options: dict[str, Any], folder: Path) -> None:
    """Neither Argo, nor lint, nor who publishes the kind has anything against it."""
    text = tiphys.to_yaml(_pipeline(make, **options))
    assert argo_lint(text, folder) == ""
    path = folder / "p.yaml"
    path.write_text(text)
    assert [str(each) for each in tiphys.lint(path) if each.severity in ("error", "warning")] == []
    try:
        definition = published(kind)
    except OSError as error:
        pytest.skip(f"the published definition of {kind} could not be fetched: {error}")
    assert list(misfits(training(make, **options)[1], definition)) == []


def check_refused(kind: str, make: Make, folder: Path) -> None:
    """Here nothing of it runs; with a fake for it the rest does."""
    pipeline, options = _pipeline(make), RunOptions(store=folder / "store")
    with pytest.raises(RefusedError) as caught:
        tiphys.run(pipeline, options=options)
    assert caught.value.code == "TIP230" and kind in caught.value.message
    assert "with_fakes(" in (caught.value.fix or "") and "runs it" in (caught.value.cause or "")
    fake = with_fakes(pipeline, {"train": Fake(model="pvc://tiphys/models/x")})
    assert tiphys.run(fake, options=options).succeeded


def check_wrong(make: Make, given: dict[str, Any], code: str, text: str) -> None:
    """What is written wrongly is one error, in the author's file."""
    with pytest.raises(DefinitionError) as caught:
        make(library.train, **given)
    assert caught.value.code == code and text in caught.value.message
    assert "jobs_elsewhere.py" in (caught.value.where or "")  # where it is written, which is here
