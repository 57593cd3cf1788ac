"""Training with PyTorch; with PyTorch itself it is in ``tests/dsl/test_pytorchjob_runs.py``."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from components import ddp
from tiphys.errors import ComponentError
from tiphys.reference import Reference, seal


def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIPHYS_VOLUMES", f'{{"tiphys": "{tmp_path}"}}')
    return tmp_path


def missing(name: str) -> object:
    raise ImportError(f"no {name}")


def test_without_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume(tmp_path, monkeypatch)
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ComponentError) as caught:
        ddp.train(Reference("pvc://tiphys/d", ""), "pvc://tiphys/m", "pvc://tiphys/w")
    assert caught.value.code == "TIP713" and "tiphys[torch]" in (caught.value.fix or "")


def test_a_batch_that_cannot_be_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume(tmp_path, monkeypatch)
    monkeypatch.setattr(ddp, "_torch", lambda: None)
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ComponentError) as caught:
        ddp.train(Reference("pvc://tiphys/d", ""), "pvc://tiphys/m", "pvc://tiphys/w", batch_size=256)
    assert caught.value.code == "TIP711"


def test_a_model_that_is_there_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = volume(tmp_path, monkeypatch) / "m"
    folder.mkdir()
    (folder / ddp.MODEL).write_bytes(b"x")
    seal(folder)
    monkeypatch.setattr(importlib, "import_module", missing)
    ddp.train(Reference("pvc://tiphys/d", ""), "pvc://tiphys/m", "pvc://tiphys/w")
