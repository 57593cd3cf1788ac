"""The script of the guard and the recorder: it runs where there is Python and no Tiphys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tiphys import Cache, Pipeline, component, while_metric


def scripts() -> dict[str, str]:
    @component(cache=Cache.by_content() & while_metric("result", ">=", 1))
    def one(x: int) -> int:
        return x

    with Pipeline("p") as pipeline:
        one(x=1)
    templates = pipeline.to_dict()["spec"]["templates"]
    return {t["name"]: t["script"]["source"] for t in templates if t["name"].startswith("tiphys-")}


def run(source: str, **env: str) -> str:
    """In a Python without site packages, and without this folder: `-I -S`."""
    base = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "TIPHYS"))}
    command = [sys.executable, "-I", "-S", "-"]
    done = subprocess.run(
        command, input=source, env={**base, **env}, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_script_needs_nothing_but_python(tmp_path: Path) -> None:
    made = scripts()
    guard, recorder = made["tiphys-guard"], made["tiphys-record"]
    out = tmp_path / "out"
    common = {
        "TIPHYS_VOLUMES": json.dumps({"c": str(tmp_path / "claim")}), "TIPHYS_CLAIM": "c",
        "TIPHYS_INPUT_VALUES": '["n","1"]', "TIPHYS_OUTPUTS": str(out),
    }  # fmt: skip

    def generation(conditions: str = "[]") -> str:
        run(guard, **common, TIPHYS_INPUT_KEY="one-abc", TIPHYS_INPUT_CONDITIONS=conditions)
        return (out / "generation").read_text()

    first = generation()
    assert generation() != first, "nothing is recorded yet"
    run(recorder, **common, TIPHYS_INPUT_KEY=f"one-abc-{first}", TIPHYS_INPUT_OUTPUTS='["result","7"]')
    assert generation() == first
    assert generation('[{"output":"result","op":">=","bound":7}]') == first
    assert generation('[{"output":"result","op":">","bound":7}]') != first
    assert [path.name for path in (tmp_path / "claim").rglob("*") if path.is_file()] == ["one-abc.json"]
