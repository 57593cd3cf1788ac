"""``tiphys models``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.runs.test_registry import model
from tiphys.cli import main


@pytest.fixture
def said(tmp_path: Path, capsys: Any) -> Any:
    def ask(*words: str, code: int = 0) -> str:
        assert main(["models", *words, "--store", str(tmp_path)]) == code
        out, err = capsys.readouterr()
        return str(err if code else out)

    return ask


def test_the_verbs(tmp_path: Path, said: Any) -> None:
    assert said("list").startswith("no models in ")
    for name in ("a", "b"):
        out = said(
            "register", "m", model(tmp_path, name), "--report", "accuracy=0.91", "--report", "model=cnn"
        )
    assert out == "pvc://tiphys/models/b is version 2 of m\n"
    assert said("alias", "m", "champion", "1") == "m@champion is version 1\n"
    assert said("alias", "m", "champion", "2", "--why", "better") == "m@champion is version 2\n"
    assert said("list").splitlines()[1].split() == ["m", "2", "champion=2"]
    assert said("rollback", "m", "champion") == "m@champion is version 1\n"
    newest, oldest = said("versions", "m").splitlines()[1:]
    assert newest.startswith("2 ") and "accuracy=0.91 model=cnn" in newest and "champion" not in newest
    assert "champion" in oldest and oldest.endswith(" ok")
    rows = said("audit", "m").splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["1", "2", "3"] and rows[1].endswith("better")
    assert said("weights", "m") == "all to m@champion\n"
    assert said("weights", "m", "1=90", "2=10") == said("weights", "m") == "1=90 2=10\n"
    assert said("weights", "m", "--none") == "all to m@champion\n"
    assert said("default", "m", "1") == "version 1 answers where the served cannot\n"
    assert said("default", "m", "--none") == "the version before answers where the served cannot\n"
    assert said("alias", "m", "champion", "--delete") == "m@champion is nowhere\n"


def test_json(tmp_path: Path, said: Any) -> None:
    uri = model(tmp_path, "a")
    assert json.loads(said("register", "m", uri, "--json"))["number"] == 1
    assert json.loads(said("alias", "m", "champion", "1", "--json"))["version"] == 1
    assert json.loads(said("list", "--json"))[0]["aliases"] == {"champion": 1}
    (version,) = json.loads(said("versions", "m", "--json"))
    assert (version["uri"], version["aliases"], version["problem"]) == (uri, ["champion"], "")
    assert json.loads(said("audit", "m", "--json"))[0]["to"] == 1
    assert json.loads(said("weights", "m", "1=100", "--json")) == {"1": 100}


def test_folders_of_models_are_told_as_before(tmp_path: Path, said: Any) -> None:
    assert said() == "no models\n"
    uri = model(tmp_path, "a")
    for words in ((), ("folders",)):
        assert said(*words).splitlines()[1].split()[:2] == [uri, "1"]
        assert json.loads(said(*words, "--json"))[0]["uri"] == uri


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("versions", "m"), "TIP261"),
        (("versions", "m", "--server", "argo:2746"), "TIP297"),
        (("alias", "m", "champion"), "TIP297"),
        (("alias", "m", "champion", "1", "--delete"), "TIP297"),
        (("weights", "m", "1=x"), "TIP264"),
        (("weights", "m", "1=100", "--none"), "TIP297"),
        (("default", "m"), "TIP297"),
        (("register", "m", "pvc://tiphys/models/none"), "TIP263"),
    ],
)
def test_what_is_refused(said: Any, words: tuple[str, ...], code: str) -> None:
    assert code in said(*words, code=2)
