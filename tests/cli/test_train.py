"""``tiphys train`` against a service: what a person reads, and what a program does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.running import Running, algorithm, running
from tiphys.cli import main
from tiphys.training.place import SeenJob


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    with running(tmp_path / "store") as found:
        found.service.create_algorithm(algorithm(), "anna")
        monkeypatch.setenv("TIPHYS_TRAINING", f"127.0.0.1:{found.port}")
        yield found


def begun(service: Running, number: int) -> str:
    while service.service.status(number, "").state.name != "running":
        time.sleep(0.01)
    return service.service.status(number, "").run


def test_a_job_from_the_line_to_its_end(service: Running, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "submit", "cnn", "-p", "LR=4", "--name", "nightly"]) == 0
    assert capsys.readouterr().out == "1\n"
    run = begun(service, 1)
    assert main(["train", "logs", "1"]) == 0
    assert capsys.readouterr().out == f"train: of {run}\n"
    service.place.seen[run] = SeenJob(phase="Succeeded", metrics={"accuracy": 0.93})
    assert main(["train", "watch", "1"]) == 0
    assert "succeed" in capsys.readouterr().out.splitlines()[-1]
    assert main(["train", "status", "1"]) == 0
    told = capsys.readouterr().out
    assert all(each in told for each in ("nightly", "succeed", "LR=4", "accuracy=0.93", run))
    assert main(["train", "list", "--status", "succeed", "--json"]) == 0
    (job,) = json.loads(capsys.readouterr().out)
    assert (job["id"], job["state"], job["metrics"]) == (1, "succeed", {"accuracy": 0.93})
    assert main(["train", "list"]) == 0
    assert "cnn@1" in capsys.readouterr().out


def test_a_failure_is_exit_code_1_and_a_cancelled_job_too(
    service: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, end in ((1, SeenJob(phase="Failed", cause="oom", message="too large")), (2, None)):
        main(["train", "submit", "cnn"])
        run = begun(service, number)
        if end is not None:
            service.place.seen[run] = end
        else:
            assert main(["train", "cancel", str(number)]) == 0
        assert main(["train", "watch", str(number), "--json"]) == 1
    assert '"state": "cancelled"' in capsys.readouterr().out


def test_what_is_wrong_is_one_error_with_its_code(
    service: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, code, says in (
        (["submit", "cmn"], 1, "Did you mean 'cnn'"),
        (["submit", "cnn", "-p", "LR"], 2, "TIP290"),
        (["submit", "cnn", "--priority", str(2**40)], 1, "TIP821"),
        (["status", "99"], 1, "TIP806"),
        (["cancel", str(2**40)], 1, "TIP821"),
        (["list", "--status", "done"], 2, "'done' is no status"),
    ):
        assert main(["train", *words]) == code
        assert says in capsys.readouterr().err


def test_text_of_others_does_not_reach_the_terminal_raw(
    service: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["train", "submit", "cnn", "--name", "a\x1b[2Jb"])
    main(["train", "status", "1"])
    main(["train", "list"])
    assert "\x1b" not in capsys.readouterr().out
