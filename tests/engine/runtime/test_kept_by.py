"""Which keeper has the pods of a workflow that a step made: what its folder says, and when that is void."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tiphys.engine.pods.host import Host
from tiphys.engine.runners._guard import RECORDS
from tiphys.engine.runners.left import Left, Start, begin_records
from tiphys.engine.runtime.kept_by import child_key, child_of, drop_children, forget, keep, kept_by, part
from tiphys.store import Store


def parent(store: Store, *children: str) -> Any:
    """The host of a run ``top``, of whose children there are records."""
    folder = store.run("top")
    begin_records(folder, "token")
    with (folder / RECORDS).open("a") as stream:
        for number, child in enumerate(children, 1):
            start = Start("pod", 1, "main", 1, "1", "127.0.0.1", "process", child=child)
            stream.write(f"+ {number} {1 << 30} {start.note()};\n")
    given_up: list[str] = []
    gpus = SimpleNamespace(adopt=given_up.append)
    return SimpleNamespace(left=Left(folder), namespace="argo", store=store, gpus=gpus, given_up=given_up)


def test_the_folder_says_who_has_the_pods_until_it_parts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = store.run("child")
    assert kept_by(folder) is None
    part(folder, store)  # nothing to part from
    first = keep(folder, cast(Host, parent(store)), "child", "uid")
    found = kept_by(folder)
    assert found is not None and found == ("top", first, "argo/child")
    assert child_of(first) == ("child", "uid")
    part(folder, store)
    assert kept_by(folder) is None
    # what it is called now, nobody had written down
    assert keep(folder, cast(Host, parent(store)), "child", "uid") != first
    forget(folder)
    assert kept_by(folder) is None


def test_what_is_no_record_says_nothing(tmp_path: Path) -> None:
    for text in ("", "[]", "{}", '{"top": "t"}', "\0"):
        (tmp_path / "kept-by").write_text(text)
        assert kept_by(tmp_path) is None


def test_only_those_that_go_on_are_left(tmp_path: Path) -> None:
    keys = [child_key(f"c{number}", f"u{number}", "1") for number in range(3)]
    host = parent(Store(tmp_path), *keys)
    drop_children(cast(Host, host), {"u1"})
    assert sorted(host.given_up) == ["u0/", "u2/"]
    host.left = None
    drop_children(cast(Host, host), ())
