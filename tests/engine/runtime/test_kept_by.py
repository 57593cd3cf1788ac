"""Which keeper has the pods of a workflow that a step made: what its folder says, and when that is void."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from tiphys.engine.pods.host import Host
from tiphys.engine.runners.left import Left
from tiphys.engine.runtime.kept_by import child_of, forget, keep, kept_by, part
from tiphys.store import Store


def parent(store: Store) -> Host:
    """The host of a run ``top``."""
    return cast(Host, SimpleNamespace(left=Left(store.new_run("top")), namespace="argo"))


def test_the_folder_says_who_has_the_pods_until_it_parts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = store.new_run("child")
    assert kept_by(folder) is None
    part(folder, store)  # nothing to part from
    first = keep(folder, parent(store), "child", "uid")
    found = kept_by(folder)
    assert found is not None and found == ("top", first, "argo/child")
    assert child_of(first) == ("child", "uid")
    part(folder, store)
    assert kept_by(folder) is None
    # what it is called now, nobody had written down
    assert keep(folder, parent(store), "child", "uid") != first
    forget(folder)
    assert kept_by(folder) is None


def test_what_is_no_record_says_nothing(tmp_path: Path) -> None:
    for text in ("", "[]", "{}", '{"top": "t"}', "\0"):
        (tmp_path / "kept-by").write_text(text)
        assert kept_by(tmp_path) is None
