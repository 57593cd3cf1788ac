"""Ask Go and the libraries that Argo calls, and write what they answer to ``recorded/*.json``.

    python tests/expr/record.py [TOPIC ...]

Needs Go; the modules come from the module registry. The tests named after the topics replay the answers.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
QUESTIONS = HERE / "questions"
MODULES = """module judge

go 1.24

require github.com/argoproj/argo-workflows/v4 v4.0.5
"""

Json = Any


def environment() -> Json:
    """What every expression may name."""
    return json.loads((QUESTIONS / "environment.json").read_text(encoding="utf-8"))


def questions(topic: str) -> Iterator[Json]:
    """The lines of the topic's file: expressions, or (``# ask: ...``) the fields of a question, parted by tabs."""
    fields = ["text"]
    ask = "expr"
    for line in (QUESTIONS / f"{topic}.txt").read_text(encoding="utf-8").split("\n"):
        if line.startswith("# ask: "):
            ask, *fields = line.removeprefix("# ask: ").split()
        elif line and not line.startswith("# "):
            given = line.split("\t")
            if len(given) != len(fields):
                raise ValueError(f"{topic}: {line!r} is not {fields}")
            said = {
                name: text.encode().decode("unicode_escape") for name, text in zip(fields, given, strict=True)
            }
            yield {"ask": ask, **said}


def judged(asked: list[Json]) -> list[Json]:
    """The answers, in the order of the questions."""
    program = Path(os.environ.get("JUDGE", Path(tempfile.gettempdir()) / "tiphys-expr-judge" / "judge"))
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "go" / "judge.go", program.parent / "main.go")
        text = (program.parent / "main.go").read_text(encoding="utf-8")
        (program.parent / "main.go").write_text(text.replace("//go:build ignore\n", ""), encoding="utf-8")
        (program.parent / "go.mod").write_text(MODULES)
        for command in (["go", "mod", "tidy"], ["go", "build", "-o", str(program), "."]):
            subprocess.run(command, cwd=program.parent, check=True)
    sent = [
        {**one, "values": environment() if one["ask"] == "expr" else json.loads(one.get("values", "null"))}
        for one in asked
    ]
    done = subprocess.run([program], input=json.dumps(sent), capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout))


def main() -> None:
    """Record the topics that are named, or all."""
    for topic in sys.argv[1:] or sorted(path.stem for path in QUESTIONS.glob("*.txt")):
        asked = list(questions(topic))
        lines = [
            json.dumps({**one, **answer}, ensure_ascii=False)
            for one, answer in zip(asked, judged(asked), strict=True)
        ]
        (HERE / "recorded" / f"{topic}.json").write_text(
            "[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
