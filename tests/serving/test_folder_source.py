"""The newest version of a folder, as it is served."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tiphys.serving.config_messages import read_text
from tiphys.serving.folder_source import FolderSource
from tiphys.serving.rollout import NotTaken, replica_status
from tiphys.serving.server import ModelServer


def test_the_newest_one_is_wanted_that_did_not_fail_as_it_is(tmp_path: Path) -> None:
    source = FolderSource("m", tmp_path / "m")
    assert source.wanted() is None
    for number in (1, 2, 10):
        (tmp_path / "m" / str(number)).mkdir(parents=True)
    assert source.wanted() == 10
    source.refuse(10)
    assert source.wanted() == 2
    (tmp_path / "m" / "10" / "saved_model.pb").touch()
    assert source.wanted() == 10
    shutil.rmtree(tmp_path / "m" / "10")
    assert source.is_gone(10) and not source.is_gone(2)
    assert source.wanted() == 2


def test_the_configuration(tmp_path: Path) -> None:
    source = FolderSource("m", tmp_path)
    (entry,) = read_text("ModelServerConfig", source.text("@x", 2, 3))["model_config_list"]["config"]  # type: ignore[index, call-overload]
    assert entry["model_version_policy"] == {"specific": {"versions": ["2", "3"]}}
    assert entry["tiphys_chains"] == [{"label": "@x", "versions": ["3", "2"]}]
    assert (source.pin(3).model, source.pin(3).named, source.told(3)) == ("m", 3, "version 3")


def test_what_a_replica_has(
    tmp_path: Path, model_server: Callable[..., ModelServer], add_version: Callable[..., Path]
) -> None:
    add_version(1)
    server = model_server(max_load_retries=0)
    source = FolderSource("m", tmp_path / "model")

    def has(version: int) -> bool:
        return source.has(version, replica_status("m", server.address))

    assert has(1) and not has(2)
    add_version(2, nothing="that a model knows")
    server.poll()
    with pytest.raises(NotTaken, match="nothing"):
        has(2)
    address = server.address
    server.stop()
    assert not source.has(1, replica_status("m", address))
