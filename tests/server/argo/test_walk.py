"""The real ``argo`` says the same of a server of ours whichever way it asks: as a cluster, and as an Argo Server."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.server.argo.conftest import BINARY, Ask
from tests.server.running import Running
from tests.server.walk import walk, write


def test_argo_is_told_the_same_both_ways(argo: Ask, running: Running, tmp_path: Path) -> None:
    folder = write(tmp_path / "files")
    env = {key: value for key, value in os.environ.items() if not key.startswith("ARGO_")}

    def by_kubeconfig(*words: str, check: bool = True) -> str:
        done = subprocess.run(
            [str(BINARY), *words[1:], "-n", "argo"],
            env={**env, "KUBECONFIG": str(running.kubeconfig)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert not check or not done.returncode, (words, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def by_server(*words: str, check: bool = True) -> str:
        return argo(*words[1:], check=check)

    there, here = walk(by_kubeconfig, folder), walk(by_server, folder)
    assert [words for words, _ in here] == [words for words, _ in there]
    for (words, ours), (_, theirs) in zip(here, there, strict=True):
        assert [_plain(line) for line in ours] == [_plain(line) for line in theirs], words


def _plain(line: str) -> str:
    """Without what ``argo`` puts before an error that a server told."""
    return re.sub(r"rpc error: code = \w+ desc = ", "", line)
