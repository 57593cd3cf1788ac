"""The real ``argo`` says the same of a server of ours whichever way it asks: as a cluster, and as an Argo Server."""

from __future__ import annotations

import re
from pathlib import Path

from tests.server.argo.conftest import Ask
from tests.server.walk import walk, write


def test_argo_is_told_the_same_three_ways(
    argo: Ask, argo_by_grpc: Ask, argo_of_kubernetes: Ask, tmp_path: Path
) -> None:
    folder = write(tmp_path / "files")

    def walked(ask: Ask) -> list[tuple[str, list[str]]]:
        return walk(lambda *words, check=True: ask(*words[1:], check=check), folder)

    there = walked(argo_of_kubernetes)
    for ask in (argo, argo_by_grpc):
        here = walked(ask)
        assert [words for words, _ in here] == [words for words, _ in there]
        for (words, ours), (_, theirs) in zip(here, there, strict=True):
            assert [_plain(line) for line in ours] == [_plain(line) for line in theirs], words


def _plain(line: str) -> str:
    """Without what ``argo`` puts before an error that a server told."""
    return re.sub(r"rpc error: code = \w+ desc = ", "", line)
