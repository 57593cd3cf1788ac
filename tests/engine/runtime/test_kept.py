"""ConfigMaps as they are now."""

from __future__ import annotations

import os
from pathlib import Path

from tiphys.engine.runtime.kept import KeptConfigMaps
from tiphys.store import Store
from tiphys.store.files import write_json


def test_each_is_what_its_file_says_now(tmp_path: Path) -> None:
    store = Store(tmp_path)
    kept = KeptConfigMaps(store)
    assert kept.data("a") is None and not kept.changed()
    path = store.objects("configmaps") / "a.json"
    path.parent.mkdir(parents=True)
    write_json(path, {"data": {"n": "1"}})
    assert kept.changed()
    assert kept.data("a") == {"n": "1"} and not kept.changed()
    write_json(path, {"data": {"n": "2"}})
    assert kept.changed() and kept.data("a") == {"n": "2"}
    write_json(path, {})
    assert kept.data("a") == {}
    path.write_text("{")
    os.utime(path, ns=(1, 1))
    assert kept.data("a") is None
    path.unlink()
    assert kept.changed() and kept.data("a") is None
    assert kept.data("a\0") is None and kept.data("../../x") is None
