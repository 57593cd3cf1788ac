"""One process of the model server: it answers at its address, and ends with who started it."""

from __future__ import annotations

from pathlib import Path

from tests.serving.test_processes import FAKE, Add
from tiphys.serving import ServingClient
from tiphys.serving.replica import start_replica


def test_it_answers_and_ends_when_it_is_let_go_of(tmp_path: Path, add_version: Add) -> None:
    base = add_version(1).parent
    replica = start_replica("m", base, [FAKE])
    with ServingClient(f"http://{replica.address}", "m", timeout=5.0) as client:
        client.wait_ready(30.0)
    replica.close()
    assert replica.process.wait(30) == 0


def test_its_last_words(tmp_path: Path) -> None:
    replica = start_replica("m", tmp_path, ["--tiphys_loader=no_such_module:load"])
    assert replica.process.wait(30) != 0
    assert "no_such_module" in replica.last_words()
    assert replica.last_words().splitlines() == replica.last_lines()[-8:]
    replica.close()
