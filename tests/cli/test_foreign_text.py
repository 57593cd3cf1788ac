"""What a step or a document says reaches no terminal as a command: its control characters are shown, not sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.engine.harness import dag, out, shell, workflow
from tiphys.cli import main

CLEAR = "\x1b[2J\x1b]0;title\x07"


@pytest.fixture
def store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The store of a run of which all that can hold signs holds some."""
    said = r"\033[2J\033]0;title\007"
    echo = shell("echo", f"printf '1/3 {said}\\n'; printf '{said}' > /tmp/out/x", outputs=out("x"))
    fails = shell("fails", f"printf 'epoch 1/3 {said}' >&2; exit 3")
    loop = {"name": "c", "template": "echo", "depends": "a", "withParam": f'["{CLEAR}'}
    flow = workflow(
        dag(
            {"name": "a", "template": "echo"},
            {"name": "b", "template": "fails"},
            loop,
            outputs={
                "parameters": [{"name": "x", "valueFrom": {"parameter": "{{tasks.a.outputs.parameters.x}}"}}]
            },
        ),
        echo,
        fails,
    )
    file = tmp_path / "flow.json"
    file.write_text(json.dumps(flow))
    store = str(tmp_path / "store")
    assert main(["run", str(file), "--store", store, "--image", "*=host", "--name", "wf", "--logs"]) == 1
    told = capsys.readouterr()
    assert "\\x1b[2J" in told.err
    assert not {"\x1b", "\x07"} & set(told.out + told.err)
    return store


@pytest.mark.parametrize("verb", [["get", "wf"], ["list"], ["watch", "wf"], ["wait", "wf"], ["retry", "wf"]])
def test_of_a_run(store: str, verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main([*verb, "--store", store])
    told = capsys.readouterr()
    assert told.out + told.err
    assert not {"\x1b", "\x07"} & set(told.out + told.err)


@pytest.mark.parametrize("verb", ["lint", "run", "graph", "compile"])
def test_of_a_document(tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "flow.yaml"
    file.write_text(
        r"""
        apiVersion: argoproj.io/v1alpha1
        kind: Workflow
        metadata: {name: "x\e[2J"}
        spec:
          entrypoint: "m\e]0;own\a"
          templates:
          - name: "q\e[31m"
            container: {image: a, command: ["\e[31m"], args: ["{{nope.\e[31m}}"]}
            frob: "\e[2J"
            "bad\e[2J": 1
        """
    )
    main([verb, str(file)])
    told = capsys.readouterr()
    assert told.out + told.err
    assert not {"\x1b", "\x07"} & set(told.out + told.err)
