"""``tiphys algorithms``: from words, from a file, and from both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.running import Running, running
from tiphys.cli import main
from tiphys.training.job import AlgorithmSecret


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    with running(tmp_path / "store") as found:
        monkeypatch.setenv("TIPHYS_TRAINING", f"127.0.0.1:{found.port}")
        yield found


def test_of_words_and_of_a_file(service: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "--image",
        "registry/cnn:1",
        "--env",
        "A=1",
        "--secret",
        "TOKEN=hub/token",
        "--command",
        "python",
        "-c",
        "1",
    ]
    assert main(["algorithms", "create", "cnn", *words]) == 0
    assert capsys.readouterr().out == "cnn, version 1\n"
    (made,) = service.service.algorithms("cnn")
    assert (made.command, made.env) == (("python", "-c", "1"), {"A": "1"})
    assert made.secrets == (AlgorithmSecret("TOKEN", "hub", "token"),)
    file = tmp_path / "cnn.toml"
    file.write_text(
        'name = "cnn"\nimage = "registry/cnn:2"\nmemory = "2Gi"\n[env]\nB = "2"\n[secrets]\nKEY = "hub/key"\n'
    )
    assert main(["algorithms", "update", "-f", str(file), "--memory", "4Gi", "--env", "A=3"]) == 0
    made = service.service.algorithms("cnn")[0]
    assert (made.version, made.image, made.memory, made.env) == (
        2,
        "registry/cnn:2",
        "4Gi",
        {"B": "2", "A": "3"},
    )
    assert made.secrets == (AlgorithmSecret("KEY", "hub", "key"),)
    capsys.readouterr()
    assert main(["algorithms", "list", "cnn", "--json"]) == 0
    assert [each["version"] for each in json.loads(capsys.readouterr().out)] == [2, 1]
    assert main(["algorithms", "list"]) == 0
    assert "registry/cnn:2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = ", "x.toml"),
        ('name = "cnn"\nimages = "x"', "images"),
        ('name = "cnn"\nworkers = "many"', "workers"),
        ('name = "cnn"\ncommand = 3', "command"),
        ('name = "cnn"\nsecrets = 3', "secrets"),
        ('name = "cnn"\n[secrets]\nA = "hub"', "A=hub"),
        ('image = "x"', "which algorithm"),
    ],
)
def test_a_file_that_is_wrong_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    file = tmp_path / "x.toml"
    file.write_text(text)
    assert main(["algorithms", "create", "-f", str(file)]) == 2
    told = capsys.readouterr().err
    assert "TIP297" in told and says in told
