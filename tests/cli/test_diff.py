"""``tiphys diff``: two runs that were really made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.engine.harness import execute
from tiphys.cli import main


def flow(text: str) -> dict[str, Any]:
    template = {"name": "main", "container": {"image": "tiphys/step:test", "command": ["sh", "-c", f"echo {text} > a"]},
                "outputs": {"parameters": [{"name": "accuracy", "valueFrom": {"path": "a"}}]}}  # fmt: skip
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "x"},
        "spec": {
            "entrypoint": "main",
            "arguments": {"parameters": [{"name": "text", "value": text}]},
            "templates": [template],
        },
    }


def test_what_is_printed(tmp_path: Path, capsys: Any) -> None:
    for name, text in (("one", "0.5"), ("two", "0.75")):
        assert execute(tmp_path, flow(text), name=name).succeeded
    store = str(tmp_path / "store")
    capsys.readouterr()
    assert main(["diff", "one", "two", "--store", store]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    at = lines.index("parameters")
    assert lines[at + 1 : at + 3] == ["one two", "text 0.5 0.75"]
    assert "accuracy 0.5 0.75" in lines
    assert main(["diff", "one", "two", "--store", store, "--json"]) == 0
    assert {"part": "metrics", "name": "accuracy", "left": 0.5, "right": 0.75} in json.loads(
        capsys.readouterr().out
    )
    assert main(["diff", "one", "one", "--store", store]) == 0
    assert capsys.readouterr().out == "nothing differs\n"
    assert main(["diff", "one", "too", "--store", store]) == 2
    assert "Did you mean 'two'" in capsys.readouterr().err
