"""Fixtures of the components' tests: a volume of its own for each test, and small data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.fingerprint import fingerprint
from components.ingest import ingest
from tiphys.reference import VOLUMES_ENV, Reference


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the claim ``tiphys``."""
    folder = tmp_path / "volume"
    folder.mkdir()
    monkeypatch.setenv(VOLUMES_ENV, json.dumps({"tiphys": str(folder)}))
    monkeypatch.delenv("TIPHYS_CACHE_KEY", raising=False)
    monkeypatch.delenv("TIPHYS_FASHION_MNIST", raising=False)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    return folder


@pytest.fixture
def source(volume: Path) -> Reference:
    """Generated idx files: 600 training and 100 test images."""
    pytest.importorskip("numpy")
    return fingerprint("synthetic", limit=600).source


@pytest.fixture
def dataset(source: Reference) -> Reference:
    """The generated images, ingested: 540 train, 60 validation, 100 test."""
    return ingest(source, validation_size=60, shard_size=200).dataset
