"""``training.toml``: who may use what, and one error for what is wrong."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tiphys.errors import TrainingServiceError
from tiphys.queue.rules import this_user
from tiphys.training.pools import TrainingRulesFile, new_token, parse_pools

TOKEN = "sha256:" + hashlib.sha256(b"secret").hexdigest()
TEXT = f"""
[pools.vision]
namespace = "ml-vision"
jobs = 4
cpu = 1.5
memory = "2Gi"
"nvidia.com/gpu" = 2
[pools.shared]
[users.anna]
pools = ["vision", "shared"]
token = "{TOKEN}"
"""
FILE = Path("training.toml")


def test_pools_and_users() -> None:
    pools = parse_pools(TEXT, FILE)
    vision = pools.pools["vision"]
    assert vision.namespace == "ml-vision"
    assert vision.sizes == {"jobs": 4, "cpu": 1500, "memory": 2 << 30, "nvidia.com/gpu": 2}
    assert pools.who("secret") == "anna"
    assert pools.pool_for("anna", "") is vision
    assert pools.pool_for("anna", "shared").sizes == {}
    for token in ("", "Secret", "ü"):
        with pytest.raises(TrainingServiceError) as caught:
            pools.who(token)
        assert caught.value.code == "TIP801"
    with pytest.raises(TrainingServiceError, match="Did you mean 'shared'") as mine:
        pools.pool_for("anna", "share")
    assert mine.value.code == "TIP802"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[pool]", "pool: nobody knows this key. Did you mean 'pools'?"),
        ("[pools.a]\njbos = 1", "pools.a.jbos: nobody knows this key. Did you mean 'jobs'?"),
        ("[pools.A_]", "pools.A_: "),
        ("[pools.a]\ncpu = 'many'", "pools.a.cpu: 'many' is no quantity"),
        ("[pools.a]\njobs = -1", "pools.a.jobs: "),
        ("[pools.a]\njobs = true", "pools.a.jobs: "),
        ("[pools.a]\nnamespace = 3", "pools.a.namespace: "),
        ("pools = 3", "pools: 3 is no table"),
        ("[users.a]\ntoken = 'sha256:00'", "users.a.pools: "),
        ("[users.a]\npools = ['default']\ntoken = 'secret'", "users.a.token: "),
        ("[users.a]\npools = ['defualt']\ntoken = 'x'", "Did you mean 'default'?"),
        (
            f"[users.a]\npools=['default']\ntoken='{TOKEN}'\n[users.b]\npools=['default']\ntoken='{TOKEN}'",
            "the same",
        ),
        ("[", "(at end of document)"),
    ],
)
def test_what_is_wrong_is_told_with_its_key(text: str, key: str) -> None:
    with pytest.raises(TrainingServiceError) as caught:
        parse_pools(text, FILE)
    assert caught.value.code == "TIP803"
    assert key in caught.value.message
    assert caught.value.where == "training.toml"
    assert "secret" not in str(caught.value), "a token that was written down by mistake is not shown"


def test_without_a_file_everybody_is_the_user_and_has_the_cores(tmp_path: Path) -> None:
    pools = TrainingRulesFile(tmp_path / "training.toml")()
    assert pools.pool_for("anybody", "").sizes == {"jobs": len(os.sched_getaffinity(0))}
    assert pools.who("anything") == this_user()


def test_a_file_is_read_again_and_while_it_is_wrong_the_one_before_holds(tmp_path: Path) -> None:
    path = tmp_path / "training.toml"
    path.write_text(TEXT)
    rules = TrainingRulesFile(path)
    path.write_text("[pools.vision]\njobs = 'x'\n# longer than before, or of another time")
    assert rules().pools["vision"].sizes["jobs"] == 4
    with pytest.raises(TrainingServiceError, match="jobs"):
        TrainingRulesFile(path)
    path.write_text(TEXT.replace("jobs = 4", "jobs = 44"))
    assert rules().pools["vision"].sizes["jobs"] == 44
    path.write_text("[pools.vision]\njobs = 'x'")
    with pytest.raises(TrainingServiceError):
        TrainingRulesFile(path)


def test_a_new_token_is_known_by_its_digest() -> None:
    token, digest = new_token()
    assert digest == "sha256:" + hashlib.sha256(token.encode()).hexdigest()
    assert new_token()[0] != token
