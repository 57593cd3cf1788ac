"""Programs changed in one place, executed before and after: equal keys must mean equal answers.

A generated pipeline file (:mod:`tests.dsl.generated_modules`) is one file, or has what it starts from in a module
beside it. The judge is Python: both programs are imported and their function is called.
"""

from __future__ import annotations

import ast
import collections
import importlib.util
import io
import os
import random
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from tests.dsl.generated_modules import module_text
from tiphys import DefinitionError
from tiphys.dsl.source.digest import step_code

__all__ = ["Judged", "judge"]

BESIDE = "beside_the_generated"
GENERATED = "generated"
PER_PROGRAM = 8
_WORD = re.compile(r"[A-Za-z_]{3,}")
_EVERYWHERE = frozenset(
    ["component", "answer", "str", "return", "repr", "with", "Pipeline", "generated", "pipeline", "append"]
)

_TAIL = "\n@component\ndef answer"
_SWAPS = (
    (" + ", " - "), (" - ", " + "), (" * ", " + "), (" += ", " -= "), (" > ", " < "), (" < ", " > "), (" 1", " True"),
    ("NUMBERS", "LOOSE"), ("LOOSE", "NUMBERS"), ("'first'", "'second'"), ('"first"', '"second"'), ("append", "extend"),
    ("Plain", "Shape"), ("min", "max"), ("sort()", "reverse()"), ("pop", "get"), ("return ", "return not "),
    ("table", "dict(table)"), ("(lambda: ", "(lambda: 0 and "), ("if ", "if not "), ("not ", ""),
    ("range(2)", "range(3)"),
)  # fmt: skip


@dataclass(slots=True)
class Judged:
    """``counts``: how many mutations came to which end; ``false_hits``: (seed, before, after) of the worst."""

    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    false_hits: list[tuple[int, str, str]] = field(default_factory=list)


def judge(seeds: range, folder: Path, judged: Judged) -> None:
    """Change each generated program ``PER_PROGRAM`` times, and compare keys and answers."""
    for seed in seeds:
        chance = random.Random(seed)
        beside = seed % 3 == 0
        text = module_text(seed, looks=14)
        before = _outcome(text, folder, beside)
        if before is None:
            judged.counts["no program"] += 1
            continue
        for _ in range(PER_PROGRAM):
            changed = mutated(text, chance)
            while changed == text or not _parses(changed):
                changed = mutated(text, chance)
            after = _outcome(changed, folder, beside)
            if after is None:
                judged.counts["no program after the change"] += 1
            elif "" in (before[0], after[0]):
                judged.counts["refused"] += 1
            elif before[0] != after[0]:
                judged.counts["another answer, another key" if before[1] != after[1] else "another key"] += 1
            elif before[1] == after[1]:
                judged.counts["the same key, the same answer"] += 1
            else:
                judged.counts["false hit"] += 1
                judged.false_hits.append((seed, text, changed))


def mutated(text: str, chance: random.Random) -> str:
    """``text`` with one change above its component: number, text, operator, name, line, import, comment."""
    head, tail = text[: text.index(_TAIL)], text[text.index(_TAIL) :]
    lines = head.split("\n")
    full = [n for n, line in enumerate(lines) if line.strip() and not line.startswith("from tiphys")]
    late = [n for n in full if n > lines.index("class Plain:")]
    asked = set(_WORD.findall(tail)) - _EVERYWHERE
    aimed = [n for n in late if asked.intersection(_WORD.findall(lines[n])) and lines[n].strip() != "pass"]
    at = chance.choice(aimed if aimed and chance.random() < 0.85 else late if chance.random() < 0.7 else full)
    line = lines[at]
    kind = chance.choices(range(7), (6, 4, 4, 5, 3, 2, 2))[0]
    if kind == 0:
        numbers = list(re.finditer(r"\b\d+\b", line))
        if numbers:
            found = chance.choice(numbers)
            lines[at] = line[: found.start()] + str(int(found[0]) + 1) + line[found.end() :]
    elif kind == 1:
        texts = list(re.finditer(r"(?<=['\"])\w+", line))
        if texts:
            found = chance.choice(texts)
            lines[at] = line[: found.end()] + "_" + line[found.end() :]
    elif kind == 2:
        able = [swap for swap in _SWAPS if swap[0] in line]
        if able:
            lines[at] = line.replace(*chance.choice(able), 1)
    elif kind == 3:
        lines[at] = line[: len(line) - len(line.lstrip())] + "pass"
    elif kind == 4:
        lines.insert(at, line)
    elif kind == 5:
        other = chance.choice(full)
        lines[at], lines[other] = lines[other], lines[at]
    else:
        lines[at] += "  # a comment"
    return "\n".join(lines) + tail


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def _outcome(text: str, folder: Path, beside: bool) -> tuple[str, str] | None:
    """(digest or nothing when refused, the answer); None for what is no program."""
    files = {GENERATED: text}
    if beside:
        cut = text.find("\n\n", text.find("\nROW = "))
        start = f"from tiphys import Pipeline, component\nfrom {BESIDE} import *\n"
        start += "import contextlib, functools, heapq\nimport random as chance\n"
        files = {BESIDE: text[:cut] + "\n", GENERATED: start + text[cut:]}
    with _as_it_was():
        try:
            module = [_load(name, content, folder) for name, content in files.items()][-1]
        except (Exception, _TooLongError):  # noqa: BLE001 - whatever a changed program does
            return None
        try:
            digest = step_code(module.answer.function, module.answer.site).digest
        except DefinitionError:
            digest = ""
        try:
            answer = str(module.answer.function())
        except (Exception, _TooLongError) as error:  # noqa: BLE001
            answer = f"{type(error).__name__}: {error}"
        return digest, re.sub(r" at 0x[0-9a-f]+", "", answer)


def _load(name: str, text: str, folder: Path) -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    exec(compile(text, str(path), "exec"), module.__dict__)  # a loader may know an older one
    return module


class _TooLongError(BaseException):
    """A changed program may never end."""


def _too_long(_signal: int, _frame: object) -> None:
    raise _TooLongError


@contextmanager
def _as_it_was() -> Iterator[None]:
    """Each program begins with the same state of the process."""
    random.seed(0)
    environ = dict(os.environ)
    handler = signal.signal(signal.SIGVTALRM, _too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, 2)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, handler)
        for name in (GENERATED, BESIDE):
            sys.modules.pop(name, None)
        os.environ.clear()
        os.environ.update(environ)
