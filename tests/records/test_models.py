"""The models of a store, against the folders that are there."""

from __future__ import annotations

from pathlib import Path

from tiphys.records.models import models
from tiphys.reference import MANIFEST, file_digest, seal
from tiphys.store import Store


def test_sealed_folders_with_versions(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = store.volume("tiphys") / "models"
    for name, versions in (("two", ("2", "10")), ("none", ())):
        for version in versions:
            (folder / name / version).mkdir(parents=True)
            (folder / name / version / "saved_model.pb").write_text(version)
        (folder / name).mkdir(parents=True, exist_ok=True)
        seal(folder / name)
    (folder / "unsealed" / "1").mkdir(parents=True)
    (folder / "unsealed" / "1" / "saved_model.pb").write_text("x")
    (found,) = models(store)
    assert (found.uri, found.versions, found.problem) == ("pvc://tiphys/models/two", ("2", "10"), "")
    assert found.digest == file_digest(folder / "two" / MANIFEST)
    (folder / "two" / "2" / "saved_model.pb").write_text("y")
    (found,) = models(store)
    assert found.problem == "pvc://tiphys/models/two: 2/saved_model.pb has another content than recorded"
