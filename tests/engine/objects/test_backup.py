"""What a job is asked, in a folder that its steps have made."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tiphys.engine.objects.backup import ask_to_end, take_back
from tiphys.engine.pods.host import Host
from tiphys.store import Store


def asked(tmp_path: Path, uri: str) -> Path:
    """The claim ``c``, after a job whose backups are there was asked to end."""
    store = Store(tmp_path / "store")
    host = cast(Host, SimpleNamespace(store=store))
    place = store.volume("c")
    job: Any = {"metadata": {"annotations": {"tiphys.dev/backup": uri}}}
    ask_to_end(host, job)
    found = [str(each.relative_to(place)) for each in place.rglob("*") if each.is_file()]
    take_back(host, job)
    assert found in ([], ["work/end-at-backup"])
    assert not [each for each in place.rglob("end-at-backup") if each.is_file()]
    return place / "work" if found else place


def test_the_request_is_a_file_beside_the_backups(tmp_path: Path) -> None:
    assert asked(tmp_path, "pvc://c/work").name == "work"


@pytest.mark.parametrize(
    "uri",
    ["", "pvc://other/work", "pvc://c/../x", "file:///tmp", "pvc://c/out", "pvc://c/round", "pvc://c/a%00b"],
)
def test_nothing_is_asked_where_it_would_leave_the_volume(tmp_path: Path, uri: str) -> None:
    place = Store(tmp_path / "store").volume("c")
    (tmp_path / "elsewhere").mkdir()
    (place / "out").symlink_to(tmp_path / "elsewhere")
    (place / "round").symlink_to(place / "round")
    asked(tmp_path, uri)
    assert not [*(tmp_path / "elsewhere").iterdir()]


def test_a_link_in_the_place_of_the_request_is_not_followed(tmp_path: Path) -> None:
    place = Store(tmp_path / "store").volume("c")
    (place / "work").mkdir()
    (place / "work/end-at-backup").symlink_to(tmp_path / "made")
    asked(tmp_path, "pvc://c/work")
    assert not (tmp_path / "made").exists()
