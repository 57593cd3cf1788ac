"""Breaking valid workflows at random and asking both linters: ``python -m tests.lint.mutants --count 1000``.

A mutant renames or drops a field, changes a reference, a type or a value, or repeats an item of a list. The
two verdicts (ok or error) are compared; every disagreement is listed.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import copy
import json
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lint.places import argo_binary, lint_cases
from tiphys.argo.reader import read_text
from tiphys.lint import lint
from tiphys.lint.model import ARGO_KINDS

ODD = (7, "text", True, [], {}, ["a"], {"a": "b"}, 1.5, None, -3, [None], [{}], [[]], "{{x}}")
KINDS = ("rename", "drop", "reference", "type", "value", "repeat")


@dataclass(frozen=True)
class Mutant:
    """A broken workflow: where it comes from, what was done, the text."""

    case: str
    change: tuple[Any, ...]
    text: str


@dataclass(frozen=True)
class Disagreement:
    """A mutant on which the verdicts differ."""

    mutant: Mutant
    argo: str
    ours: list[str]


def originals() -> list[tuple[str, Any]]:
    """Argo's cases that are valid by themselves."""
    found = []
    for case in lint_cases():
        if case["oracle"]["rc"] == 0 and not case["context"]:
            documents = read_text(case["yaml"])
            if len(documents) == 1 and documents[0].kind in ARGO_KINDS:
                found.append((case["id"], documents[0].data))
    return found


def mutants(count: int, seed: int) -> list[Mutant]:
    """``count`` mutants, the same for the same seed."""
    chance = random.Random(seed)
    sources = originals()
    made: list[Mutant] = []
    while len(made) < count:
        case, data = chance.choice(sources)
        broken = copy.deepcopy(data)
        change = mutate(broken, chance)
        if change:
            made.append(Mutant(case, change, "---\n" + json.dumps(broken, indent=1)))
    return made


def mutate(data: Any, chance: random.Random) -> tuple[Any, ...]:
    """Change one thing in place and say what; empty when nothing fitted."""
    paths = [path for path in walk(data) if path[0] not in ("apiVersion", "kind")]
    for _ in range(50):
        path = chance.choice(paths)
        holder = data
        for step in path[:-1]:
            holder = holder[step]
        kind = chance.choice(KINDS)
        result = change(kind, holder, path[-1], chance)
        if result is not None:
            return (kind, path, result)
    return ()


def walk(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every path in the data."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from walk(value, (*path, key))


def change(kind: str, holder: Any, key: Any, chance: random.Random) -> Any:
    """Apply one kind of change to ``holder[key]``; None when it does not fit."""
    value = holder[key]
    if kind == "drop":
        del holder[key]
        return "gone"
    if kind == "repeat" and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(value))
        return "twice"
    if kind == "rename" and isinstance(holder, dict):
        swapped = key.capitalize() if key[:1].islower() else key.lower()
        name = chance.choice([key + "x", swapped, key[:-1] or "q", key[::-1]])
        if name in holder or name == key:
            return None
        items = [(name if old == key else old, item) for old, item in holder.items()]
        holder.clear()
        holder.update(items)
        return name
    if kind == "type":
        odd = copy.deepcopy(chance.choice(ODD))
        if type(odd) is type(value):
            return None
        holder[key] = odd
        return repr(odd)
    if not isinstance(value, str):
        return None
    if kind == "value":
        ways = [
            "",
            value * 2,
            value[: len(value) // 2],
            "{{inputs.parameters.nope}}",
            "{{" + value,
            value + "}}",
        ]
        holder[key] = chance.choice([*ways, "-1", "0"])
        return holder[key]
    if kind == "reference":
        return refer(holder, key, value, chance)
    return None


def refer(holder: Any, key: Any, value: str, chance: random.Random) -> str | None:
    """Change a tag, or a name that refers to something."""
    tags = list(re.finditer(r"\{\{([^}]*)\}\}", value))
    if tags:
        tag = chance.choice(tags)
        parts = tag[1].split(".")
        at = chance.randrange(len(parts))
        parts[at] = chance.choice([parts[at] + "z", "", parts[at][1:]])
        holder[key] = value[: tag.start(1)] + ".".join(parts) + value[tag.end(1) :]
    elif isinstance(key, int) or key in (
        "template",
        "name",
        "entrypoint",
        "onExit",
        "depends",
        "target",
        "from",
    ):
        holder[key] = chance.choice([value + "z", value[1:], value.upper(), value + " ", value + "_"])
    else:
        return None
    return str(holder[key])


def ask_argo(text: str, folder: str, number: int) -> tuple[bool, str]:
    """Whether the real program rejects the text, and its words."""
    path = Path(folder) / f"{number}.yaml"
    path.write_text(text, encoding="utf-8")
    run = subprocess.run(
        [argo_binary(), "lint", "--offline", "--strict", "--no-color", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return run.returncode != 0, " ".join((run.stdout + run.stderr).replace(str(path), "FILE").split())


def compare(found: list[Mutant]) -> tuple[list[Disagreement], int]:
    """The disagreements, and how many of the mutants Argo rejects."""
    argo_binary()
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(ask_argo, [m.text for m in found], [folder] * len(found), range(len(found))))
    different = []
    for mutant, (rejected, words) in zip(found, answers, strict=True):
        ours = [str(item) for item in lint(mutant.text) if item.severity == "error"]
        if bool(ours) != rejected:
            different.append(Disagreement(mutant, words if rejected else "ok", ours))
    return different, sum(rejected for rejected, _ in answers)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    different, rejected = compare(mutants(given.count, given.seed))
    lines = [
        f"{item.mutant.case} {item.mutant.change}\n  argo: {item.argo[-250:]}\n  ours: {item.ours[:2] or 'ok'}\n"
        for item in different
    ]
    share = 100 * (1 - len(different) / given.count)
    lines.append(f"{given.count} mutants, {rejected} rejected by argo, {len(different)} disagreements: ")
    lines.append(f"{share:.2f} % the same\n")
    sys.stdout.write("".join(lines))
    return 0 if share >= 99 else 1


if __name__ == "__main__":
    sys.exit(main())
