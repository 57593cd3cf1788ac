"""``tiphys server`` and a real cluster, asked the same by the real ``argo`` and ``kubectl``: they answer the same."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cluster.conftest import Cluster
from tests.server.running import server
from tests.server.walk import scheduled, walk, write

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("images")]

Ask = Callable[..., str]


def test_argo_is_told_the_same_here_and_there(cluster: Cluster, tmp_path: Path) -> None:
    folder = write(tmp_path / "files")
    # without ARGO_SERVER it asks the API server of the kubeconfig
    env = {key: value for key, value in cluster.env.items() if not key.startswith("ARGO_")}

    def asked(kubeconfig: str) -> Ask:
        def ask(*words: str, check: bool = True) -> str:
            done = subprocess.run(
                [words[0], *words[1:], "-n", "argo"],
                env={**env, "KUBECONFIG": kubeconfig},
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert not check or not done.returncode, (words, done.stdout, done.stderr)
            return done.stdout + done.stderr

        return ask

    with server(tmp_path / "store") as running, ThreadPoolExecutor(1) as pool:
        timed = pool.submit(scheduled, asked(cluster.env["KUBECONFIG"]), folder)  # which is mostly waiting
        here = walk(asked(str(running.kubeconfig)), folder) + scheduled(
            asked(str(running.kubeconfig)), folder
        )
        there = walk(asked(cluster.env["KUBECONFIG"]), folder) + timed.result()
    assert [words for words, _ in here] == [words for words, _ in there]
    for (words, ours), (_, theirs) in zip(here, there, strict=True):
        assert ours == theirs, words
