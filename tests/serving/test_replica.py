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


def test_its_last_words(add_version: Add) -> None:
    replica = start_replica("m", add_version(1, nonsense=1).parent, [FAKE, "--max_num_load_retries=0"])
    code, said, lines = replica.process.wait(30), replica.last_words(), replica.last_lines()
    replica.close()
    assert code == 1 and "nonsense" in said
    assert said.splitlines() == lines[-8:]
