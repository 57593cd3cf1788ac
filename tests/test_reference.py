"""References: parsing, resolving inside volumes, sealing a folder and noticing every change to it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys import Reference, StoreError
from tiphys.reference import MANIFEST, resolve, seal, verify, volumes_from_env


@pytest.fixture
def sealed(tmp_path: Path) -> tuple[Reference, dict[str, str], Path]:
    folder = tmp_path / "volume" / "models" / "a"
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "weights.bin").write_bytes(b"\x00\x01\x02")
    (folder / "note.txt").write_text("hello")
    digest = seal(folder)
    return Reference("pvc://data/models/a", digest), {"data": str(tmp_path / "volume")}, folder


def test_the_text_form_is_json_and_reads_back() -> None:
    reference = Reference("pvc://data/models/a", "sha256:00")
    assert json.loads(str(reference)) == {"uri": "pvc://data/models/a", "digest": "sha256:00"}
    assert Reference.parse(str(reference)) == reference


@given(st.text(), st.text())
def test_any_uri_and_digest_survive_the_text_form(path: str, digest: str) -> None:
    reference = Reference("pvc://data/" + path, digest)
    assert Reference.parse(str(reference)) == reference


@pytest.mark.parametrize(
    "text", ["", "hello", "{}", '{"uri": 3}', '{"uri":"http://x"}', "[1]", '{"uri"', "pvc://a\nb"]
)
def test_what_is_not_a_reference(text: str) -> None:
    assert Reference.maybe(text) is None
    with pytest.raises(StoreError, match="TIP401"):
        Reference.parse(text)


def test_a_sealed_folder_verifies(sealed: tuple[Reference, dict[str, str], Path]) -> None:
    reference, volumes, folder = sealed
    assert verify(reference, volumes) == ""
    assert reference.digest == "sha256:" + hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


def test_sealing_is_deterministic(sealed: tuple[Reference, dict[str, str], Path]) -> None:
    reference, _, folder = sealed
    assert seal(folder) == reference.digest


def test_what_lies_beside_the_content_is_sealed_and_does_not_count(
    sealed: tuple[Reference, dict[str, str], Path],
) -> None:
    reference, volumes, folder = sealed
    times = folder / "times.jsonl"
    digests = []
    for seconds in ("1.5", "1.7"):
        times.write_text(seconds)
        digests.append(seal(folder, beside=("*.jsonl",)))
        assert verify(Reference(reference.uri, digests[-1]), volumes) == ""
    assert digests[0] == digests[1] != reference.digest  # their names count
    new = Reference(reference.uri, digests[0])
    times.write_text("1.8")
    assert "times.jsonl has another content" in verify(new, volumes)
    times.unlink()
    assert "times.jsonl is missing" in verify(new, volumes)
    times.write_text("1.7")
    assert verify(new, volumes) == ""
    (folder / "more.jsonl").write_text("1.7")
    assert "more.jsonl was added" in verify(new, volumes)
    (folder / "more.jsonl").unlink()
    listed = json.loads((folder / "beside.json").read_text())
    (folder / "beside.json").write_text(json.dumps({"files": {**listed["files"], "more.jsonl": {}}}))
    (folder / "more.jsonl").write_text("1.7")
    assert "more.jsonl was added" in verify(new, volumes)
    (folder / "beside.json").unlink()
    assert "beside.json is missing" in verify(new, volumes)
    (folder / "more.jsonl").unlink()
    times.unlink()
    assert seal(folder, beside=("*.jsonl",)) == reference.digest  # as it was before there was such a thing


def test_the_random_id_of_a_saved_model_does_not_count(tmp_path: Path) -> None:
    digests = []
    for identity in ("1", "2"):
        folder = tmp_path / identity
        (folder / "1").mkdir(parents=True)
        (folder / "1/saved_model.pb").write_bytes(b"graph")
        (folder / "1/fingerprint.pb").write_text(identity)
        (folder / "fingerprint.pb").write_text("this is of something else")
        digests.append(seal(folder))
    assert digests[0] == digests[1]
    (folder / "fingerprint.pb").write_text("another")
    assert seal(folder) != digests[0]


def change_content(folder: Path) -> None:
    (folder / "note.txt").write_text("jello")


def truncate(folder: Path) -> None:
    (folder / "1" / "weights.bin").write_bytes(b"\x00")


def remove(folder: Path) -> None:
    (folder / "note.txt").unlink()


def add(folder: Path) -> None:
    """A step that reads every file it finds would read this one."""
    (folder / "1" / "z.csv").write_text("7,7,7")


def add_a_link(folder: Path) -> None:
    (folder / "link").symlink_to(folder / "note.txt")


def forge_manifest(folder: Path) -> None:
    change_content(folder)
    seal(folder)


def garble_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text("{")


def remove_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


@pytest.mark.parametrize(
    "damage",
    [change_content, truncate, remove, add, add_a_link, forge_manifest, garble_manifest, remove_manifest],
)
def test_every_damage_is_noticed(sealed: tuple[Reference, dict[str, str], Path], damage: object) -> None:
    reference, volumes, folder = sealed
    assert callable(damage)
    damage(folder)
    assert verify(reference, volumes) != ""


def test_a_volume_that_is_not_mounted_is_said(sealed: tuple[Reference, dict[str, str], Path]) -> None:
    reference, _, _ = sealed
    assert "not mounted" in verify(reference, {})


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("pvc://data/../secret", "TIP403"),
        ("pvc://data/%2e%2e/secret", "TIP403"),
        ("file://elsewhere/x", "TIP403"),
        ("pvc://other/x", "TIP404"),
        ("ftp://data/x", "TIP405"),
    ],
)
def test_paths_that_leave_or_cannot_be_reached(uri: str, code: str) -> None:
    with pytest.raises(StoreError) as caught:
        resolve(uri, {"data": "/volume"})
    assert caught.value.code == code


def test_resolving() -> None:
    assert resolve("pvc://data/models/a", {"data": "/volume"}) == Path("/volume/models/a")
    assert resolve("file:///models/a") == Path("/models/a")
    assert resolve("pvc://data", {"data": "/volume"}) == Path("/volume")


def test_volumes_come_from_the_environment() -> None:
    assert volumes_from_env({"TIPHYS_VOLUMES": '{"data": "/mnt"}'}) == {"data": "/mnt"}
    assert volumes_from_env({}) == {}
    with pytest.raises(StoreError, match="TIP402"):
        volumes_from_env({"TIPHYS_VOLUMES": "{"})


def test_the_digest_of_a_folder_is_of_its_names_and_bytes_wherever_it_lies(tmp_path: Path) -> None:
    from tiphys.reference import content_digest, file_digest

    def tree(name: str, **files: str) -> str:
        for file, text in files.items():
            path = tmp_path / name / file.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return str(tmp_path / name)

    first = content_digest(tree("first", a="1", deep__b="2"))
    assert content_digest(tree("second", deep__b="2", a="1")) == first
    others = [
        tree("x", a="1", deep__b="3"),
        tree("y", a="1", deep__c="2"),
        tree("z", a="1", deep__b="2", manifest=""),
    ]
    assert len({first, *map(content_digest, others)}) == 4
    # nothing is written, and a file has the digest that sha256sum says
    assert sorted(each.name for each in (tmp_path / "first").iterdir()) == ["a", "deep"]
    assert content_digest(str(tmp_path / "first" / "a")) == file_digest(tmp_path / "first" / "a")
