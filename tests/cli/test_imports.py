"""``tiphys import``: Python on standard output, what to know on standard error, the words of exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.importing.flows import flow
from tiphys.cli import main

STEPS = "    steps:\n    - - {name: A, template: say, arguments: {parameters: [{name: text, value: x}]}}\n"
KFP = Path(__file__).parent.parent / "importing" / "kfp" / "handled.yaml"


def test_the_python_compiles_and_what_is_changed_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, made = tmp_path / "flow.yaml", tmp_path / "flow.py"
    source.write_text(flow(STEPS), encoding="utf-8")
    assert main(["import", "argo", str(source), "-o", str(made), "--strict"]) == 0
    told = capsys.readouterr()
    assert told.out == "" and f"{source}:8: said otherwise: the task 'A'" in told.err
    assert main(["compile", str(made)]) == 0
    assert "name: a\n" in capsys.readouterr().out
    assert main(["import", "argo", str(source), "--quiet"]) == 0
    quiet = capsys.readouterr()
    assert quiet.err == "" and quiet.out == made.read_text(encoding="utf-8")


def test_strict_is_for_what_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "flow.yaml"
    source.write_text(
        flow(STEPS.replace("x}]", "x}], artifacts: [{name: art, raw: {data: z}}]")), encoding="utf-8"
    )
    assert main(["import", "argo", str(source), "--strict"]) == 1
    assert "kept as it is: the template 'main'" in capsys.readouterr().err


def test_kfp_and_what_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "kfp", str(KFP)]) == 0
    assert "@component" in capsys.readouterr().out
    assert main(["import", "argo", str(KFP)]) == 2
    assert "TIP247" in capsys.readouterr().err
