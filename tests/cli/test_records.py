"""``tiphys records`` and ``tiphys artifacts``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.engine.harness import execute, shell, workflow
from tiphys.cli import main

GIVES = {"parameters": [{"name": "model", "valueFrom": {"path": "m"}}]}


def test_the_index_is_made_anew_and_artifacts_are_found(tmp_path: Path, capsys: Any) -> None:
    digest = "sha256:" + "ab" * 32
    value = json.dumps({"uri": "pvc://tiphys/models/m", "digest": digest})
    flow = workflow(shell("main", f"echo '{value}' > m", outputs=GIVES))
    assert execute(tmp_path, flow, name="r").succeeded
    store = ["--store", str(tmp_path / "store")]
    capsys.readouterr()
    for words in (["rebuild"], ["rebuild", "--json"], ["sync"], ["sync", "--json"]):
        assert main(["records", *words, *store]) == 0
    out = capsys.readouterr().out
    assert out.startswith("1 runs\n") and '"runs": 1' in out and '"kept": 0' in out
    for words in (
        ["pvc://tiphys/*"],
        [digest[:20]],
        ["--kind", "models"],
        ["pvc://tiphys/models/m", "--json"],
    ):
        assert main(["artifacts", "find", *words, *store]) == 0
        assert "pvc://tiphys/models/m" in capsys.readouterr().out
    assert main(["artifacts", "find", "pvc://other/*", *store]) == 1
    assert capsys.readouterr().out == "no artifacts\n"
