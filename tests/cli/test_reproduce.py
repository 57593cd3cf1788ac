"""What ``tiphys reproduce`` prints to a person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tiphys
from tiphys.cli import main
from tiphys.engine import RunOptions


@tiphys.component
def draw(seed: int) -> float:
    import random

    return random.Random(seed or None).random()


def test_what_is_printed(tmp_path: Path, capsys: Any) -> None:
    with tiphys.Pipeline("draws") as pipeline:
        draw(seed=pipeline.param("seed", 1))
    for name, seed in (("same", 1), ("other", 0)):
        assert tiphys.run(pipeline, options=RunOptions(store=tmp_path, name=name), seed=seed).succeeded
    capsys.readouterr()
    assert main(["reproduce", "same", "--store", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "same is reproduced: all that came of it is the same\n"
    assert main(["reproduce", "@latest", "--store", str(tmp_path)]) == 0  # without --check it only tells
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "  DIFFERS  output draw: result"
    assert lines[3:] == [
        "other is not reproduced: 1 of what came of it differs",
        f"the second run: {tmp_path / 'reproduced' / 'other'}",
    ]
    assert main(["reproduce", "other", "--check", "--store", str(tmp_path)]) == 1
