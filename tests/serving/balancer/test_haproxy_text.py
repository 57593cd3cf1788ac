"""What HAProxy is told, judged by HAProxy."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tiphys.errors import ServingError
from tiphys.serving.balancer import Settings
from tiphys.serving.balancer.haproxy import haproxy
from tiphys.serving.balancer.haproxy_text import POLICIES, configuration
from tiphys.serving.guard import Guard


def text(
    tmp_path: Path, policy: str = "round-robin", model: str = "m", token: str = "", path: str | None = None
) -> str:
    (tmp_path / "names").touch()
    return configuration(
        model=model,
        policy=policy,
        listener=3,
        calls=4,
        whole="127.0.0.1:1",
        names=tmp_path / "names",
        control=tmp_path / "control",
        health_path=path,
        certificate=None,
        settings=Settings(guard=Guard(token=token)),
    )


@pytest.mark.skipif(haproxy() is None, reason="HAProxy is not installed")
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "word", ["plain", "it's", '"', "\\", "#x", "-m", "%[src]", "$HOME", "{x}", "a'b\"c'"]
)
def test_haproxy_takes_it_whatever_is_in_a_name_or_a_token(tmp_path: Path, policy: str, word: str) -> None:
    made = (
        text(tmp_path, policy, model=word, token=word, path=f"/v1/models/{word}")
        .replace("fd@3", "127.0.0.1:4599")
        .replace("fd@4", "127.0.0.1:4600")
    )
    (tmp_path / "c.cfg").write_text(made)
    done = subprocess.run(
        [str(haproxy()), "-c", "-f", str(tmp_path / "c.cfg")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr, done.stderr


def test_a_policy_that_it_has_not(tmp_path: Path) -> None:
    with pytest.raises(ServingError, match="hash:x") as error:
        text(tmp_path, "hash:x")
    assert error.value.code == "TIP511"
