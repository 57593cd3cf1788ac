"""``tiphys queue``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import dag, shell, wait_until, workflow
from tests.engine.runtime.test_locks import Started, limits, pooled, semaphores
from tiphys.cli import main
from tiphys.queue import Locks
from tiphys.queue.core import Claim
from tiphys.queue.permits import Bid, Permits


@pytest.fixture
def tiphys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Calls ``tiphys queue`` on a store: the exit code, and what it printed."""

    def call(*words: str) -> tuple[int, str]:
        code = main(["queue", *words, "--store", str(tmp_path / "store")])
        said = capsys.readouterr()
        return code, said.out or said.err

    return call


@pytest.fixture
def permits(tmp_path: Path) -> Iterator[Permits]:
    (tmp_path / "store").mkdir()
    with closing(Permits(tmp_path / "store/locks.db")) as table:
        yield table


def bid(run: str, permits: int, user: str = "anna", **more: Any) -> Bid:
    claim = Claim(f"argo/{run}/{run}-1", (("training", permits),), user, created=float(len(run)), **more)
    return Bid(claim, {"training": 4}, f"{run}.fit")


def test_limits_of_database_semaphores_are_listed_and_taken_away(tiphys: Any) -> None:
    tiphys("set", "argo/gang", "3")
    tiphys("set", "argo/gang", "2")
    assert json.loads(tiphys("ls", "--json")[1]) == {
        "pools": [],
        "users": [],
        "locks": [{"name": "argo/Database/gang", "limit": 2, "holders": [], "waiting": []}],
    }
    assert tiphys("set", "argo/gang", "0")[0] == 0
    assert tiphys("ls") == (0, "no pools and no locks\n")
    assert tiphys("set", "argo/", "1")[0] == 2


def test_the_limit_of_a_pool_is_set_and_taken_away(tiphys: Any) -> None:
    assert tiphys("set", "training", "8") == (0, "")
    (pool,) = json.loads(tiphys("ls", "--json")[1])["pools"]
    assert pool == {"name": "training", "size": 8, "free": 8, "holding": [], "waiting": []}
    assert tiphys("set", "training", "--unset") == (0, "")
    assert tiphys("ls") == (0, "no pools and no locks\n")


@pytest.mark.parametrize("limit", ["many", "1.5", "9" * 5000, "٣", ""], ids=lambda each: each[:8])
def test_what_is_no_limit_is_refused(tiphys: Any, limit: str) -> None:
    code, said = tiphys("set", "training", limit)
    assert code == 2 and "TIP116" in said


def test_a_limit_is_given_or_taken_away(tiphys: Any) -> None:
    for words in ([], ["3", "--unset"]):
        code, said = tiphys("set", "training", *words)
        assert code == 2 and "TIP116" in said


def test_who_holds_and_who_waits_is_listed_in_the_order_of_the_turns(tiphys: Any, permits: Permits) -> None:
    permits.ask(bid("a", 2))
    permits.ask(bid("bb", 4))
    permits.ask(bid("ccc", 4, user="bo", priority=3))
    told = json.loads(tiphys("ls", "--json")[1])
    (pool,) = told["pools"]
    assert (pool["name"], pool["size"], pool["free"]) == ("training", 4, 2)
    (held,) = pool["holding"]
    assert (held["name"], held["user"], held["permits"], held["priority"]) == ("a.fit", "anna", 2, 0)
    assert [each["name"] for each in pool["waiting"]] == ["ccc.fit", "bb.fit"]
    assert [each["ahead"] for each in pool["waiting"]] == [[], ["ccc.fit"]]
    assert [(each["user"], each["owed_share"]) for each in told["users"]] == [("anna", 0.5), ("bo", 0.5)]
    text = tiphys("ls")[1]
    assert [line.split()[:4] for line in text.splitlines() if line.startswith(("holds", "waits"))] == [
        ["holds", "a.fit", "2", "anna"],
        ["waits", "ccc.fit", "4", "bo"],
        ["waits", "bb.fit", "4", "anna"],
    ]


def test_what_is_owed_follows_the_rules(tmp_path: Path, tiphys: Any) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store/queue.toml").write_text(
        '[groups]\none = 1\ntwo = 3\n[users.a]\ngroup = "one"\n[users.b]\ngroup = "two"\nweight = 2\n'
        '[users.c]\ngroup = "two"\n'
    )
    told = json.loads(tiphys("ls", "--json")[1])["users"]
    assert {each["user"]: each["owed_share"] for each in told} == {"a": 0.25, "b": 0.5, "c": 0.25}
    (tmp_path / "store/queue.toml").write_text("[group]")
    code, said = tiphys("ls")
    assert code == 2 and "TIP286" in said and "queue.toml" in said


def test_a_run_is_told_why_it_waits(tmp_path: Path, tiphys: Any) -> None:
    job = shell("job", "true", synchronization=semaphores("big"))
    flow = pooled(workflow(dag({"name": "t", "template": "job"}), job), ("big", "training", 3, 4))
    (tmp_path / "store").mkdir()
    permits = Permits(tmp_path / "store/locks.db")
    permits.ask(bid("a", 2))
    run = Started(tmp_path, "mine", flow, limits(big=1))
    run.waits("t")
    code, text = tiphys("explain", "mine")
    first, holds, when = text.splitlines()
    assert code == 0 and first.startswith("mine.t wants 3 of pool training (2 of 4 free), for ")
    assert holds.startswith("  holds       2: a.fit (anna), for ")
    assert when == "  it starts   when 1 more is given back"
    told = json.loads(tiphys("explain", "mine", "--json")[1])
    (waits,) = told["waiting"]
    assert (waits["pool"], waits["permits"], waits["ahead"], waits["never"]) == ("training", 3, [], False)
    permits.set_size("training", 2)
    assert "never, of 2 in all: tiphys queue set training 3" in tiphys("explain", "mine")[1]
    run.run.suspend()
    wait_until(lambda: "is suspended" in tiphys("explain", "mine")[1])
    permits.close()
    assert tiphys("set", "training", "3") == (0, "")
    run.run.resume_nodes()
    assert run.ended().succeeded
    assert tiphys("explain", "mine") == (0, "mine waits for no pool and no lock\n")
    assert tiphys("explain", "mien")[0] == 2


def test_a_run_is_told_of_a_lock_that_is_no_pools(tmp_path: Path, tiphys: Any) -> None:
    job = shell("job", "true", synchronization={"mutexes": [{"name": "m"}]})
    (tmp_path / "store").mkdir()
    with closing(Locks(tmp_path / "store/locks.db")) as locks:
        locks.acquire("other", ["argo/Mutex/m"], workflow="other", limits={})
        run = Started(tmp_path, "mine", workflow(dag({"name": "t", "template": "job"}), job), [])
        run.waits("t")
        assert "mine waits for the lock argo/Mutex/m\n  held by     other\n" in tiphys("explain", "mine")[1]
    assert run.ended().succeeded


QUEUE = """
[pools]
training = 8
[groups]
vision = 1
[cluster]
namespace = "ml"
cpu = "64"
memory = "256Gi"
"""


def test_a_queue_toml_is_compiled_the_same_every_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = tmp_path / "queue.toml", tmp_path / "kueue.yaml"
    path.write_text(QUEUE)
    assert main(["queue", "compile", str(path)]) == 0
    said = capsys.readouterr()
    assert "kind: ClusterQueue" in said.out
    assert said.err.startswith("note: pools.training: ")
    assert main(["queue", "compile", str(path), "-o", str(output)]) == 0
    assert output.read_text() == said.out
    assert capsys.readouterr().out == ""


def test_a_queue_toml_without_a_cluster_or_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "queue.toml"
    for text in (None, "[pools]"):
        if text is not None:
            path.write_text(text)
        assert main(["queue", "compile", str(path)]) == 2
        said = capsys.readouterr().err
        assert "TIP286" in said and str(path) in said
