"""Long values as files: what is written, what is read, and what is not taken for one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tiphys.errors import StoreError
from tiphys.large import ENV, LONGEST, file_of, shortened, whole
from tiphys.reference import Reference, pointed, verify


@pytest.fixture
def volumes(tmp_path: Path) -> dict[str, str]:
    return {"c": str(tmp_path / "claim")}


SAID = {ENV: '{"claim":"c","outputs":["text"]}'}
TEXT = "ä€\n" * 5000


def test_a_long_text_comes_back_and_a_short_one_stays(volumes: dict[str, str], tmp_path: Path) -> None:
    handed = shortened("text", TEXT, volumes, SAID)
    digest = hashlib.sha256(TEXT.encode()).hexdigest()
    assert json.loads(handed)["digest"] == f"sha256:{digest}"
    assert whole(handed, volumes) == TEXT
    assert [path.name for path in (tmp_path / "claim").rglob("*") if path.is_file()] == [digest]
    assert shortened("text", "x" * LONGEST, volumes, SAID) == "x" * LONGEST
    assert shortened("text", "ä" * (LONGEST // 2 + 1), volumes, SAID) != "ä" * (LONGEST // 2 + 1)


@pytest.mark.parametrize(
    "name, environ, mounted", [("other", SAID, True), ("text", {}, True), ("text", SAID, False)]
)
def test_only_what_may_go_goes(
    volumes: dict[str, str],
    name: str,
    environ: dict[str, str],
    mounted: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert shortened(name, TEXT, volumes if mounted else {}, environ) == TEXT
    assert ("handed on as text" in capsys.readouterr().err) is bool(environ)


def test_what_cannot_be_written_is_handed_on_as_it_is(
    volumes: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "claim").write_text("no folder")
    assert shortened("text", TEXT, volumes, SAID) == TEXT
    assert "handed on as it is" in capsys.readouterr().err


@pytest.mark.parametrize("harm", ["gone", "other", "not mounted"])
def test_a_file_that_is_not_what_was_written(volumes: dict[str, str], harm: str) -> None:
    handed = shortened("text", TEXT, volumes, SAID)
    file = file_of(json.loads(handed)["uri"], volumes)
    assert file is not None
    if harm == "gone":
        file.unlink()
    elif harm == "other":
        file.write_text("other")
    with pytest.raises(StoreError) as caught:
        whole(handed, {} if harm == "not mounted" else volumes)
    assert caught.value.code == "TIP406" and caught.value.cause and caught.value.fix
    assert bool(verify(Reference.parse(handed), volumes)) == (harm != "not mounted")


def test_a_damaged_file_is_made_anew(volumes: dict[str, str]) -> None:
    handed = shortened("text", TEXT, volumes, SAID)
    file = file_of(json.loads(handed)["uri"], volumes)
    assert file is not None
    file.write_text("other")
    assert shortened("text", TEXT, volumes, SAID) == handed and whole(handed, volumes) == TEXT


OWN = "pvc://c/.tiphys/values/" + "0" * 64


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        OWN,
        "{}",
        '{"digest":',
        '{"digest":1,"uri":2}',
        str(Reference("pvc://c/data", "sha256:" + "0" * 64)),
        str(Reference(OWN, "sha256:" + "1" * 64)),
        str(Reference(OWN + "0", "sha256:" + "0" * 64)),
        str(Reference("pvc://c/../.tiphys/values/" + "0" * 64, "sha256:" + "0" * 64)),
        "[" + str(Reference(OWN, "sha256:" + "0" * 64)) + "]",
    ],
)
def test_any_other_text_is_itself(volumes: dict[str, str], text: str) -> None:
    assert whole(text, volumes) == text


def test_what_a_long_value_points_to(volumes: dict[str, str]) -> None:
    inside = [Reference(f"pvc://c/parts/{number}", "sha256:" + "a" * 64) for number in range(300)]
    handed = shortened(
        "text", json.dumps([{"digest": r.digest, "uri": r.uri} for r in inside]), volumes, SAID
    )
    assert list(pointed(handed, volumes)) == [Reference.parse(handed), *inside]
