"""Forty mistakes, each in a file of its own: a coded error at the author's own line."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiphys
from tiphys import TiphysError

HEAD = """\
from dataclasses import dataclass
from typing import Any

from tiphys import *


@dataclass
class Scores:
    accuracy: float
    label: str


@component
def train(rate: float = 0.1) -> float:
    return rate


@component
def judge(model: str) -> Scores:
    return Scores(1.0, model)


@component
def say(text: str) -> None:
    print(text)


@component
def names() -> list[str]:
    return ["a"]


"""

# the line that is wrong ends with "# !"
INSIDE = {
    "TIP103": [
        "train(learning_rate=0.1)",
        "train(0.1, 0.2)",
        "train(name='first')",
        "train(arguments={'rate': 0.1})",
        "train(with_items=[0.1, 0.2])",
        "train(with_param='[1]')",
        "pipeline.activedeadlineseconds = 5",
        "compose('{x}', y=1)",
        "train.using(memory='1Gi')",
    ],
    "TIP104": ["judge()", "approve(answers=('a', 'b'), after='1h')"],
    "TIP105": [
        "train(rate='0.1')",
        "judge(model=train())",
        "say(text=names())",
        "train() << train()",
        "train() >> None",
        "train().after('say')",
        "train().on_exit('say')",
        "component(retry=3)(print)",
        "container('alpine:3', 'echo hi')",
        "pipeline.param('x', 1j)",
    ],
    "TIP106": [
        "judge(model='m').acuracy",
        "train().output",
        "train().set_gpu_limit(1)",
        "train().set_retry(3)",
        "train().set_caching_options(True)",
        "train().set_display_name('x')",
        "train().with_overrides(cpu='1')",
        "train(rate=judge(model='m'))",
    ],
    "TIP108": ["say(text=other_pipeline.param('x', 'y'))"],
    "TIP109": [
        "train.using(resources=Resources(cpu='four'))",
        "pipeline.param('x', 5, maximum=3)",
        "pipeline.as_cron('61 3 * * *')",
        "pipeline.as_cron('@daily', timezone='Europe/Roma')",
    ],
    "TIP114": [
        "train().result + 1",
        "len(names().result)",
        "bool(train().result > 0.5)",
        "int(train().result)",
        "[x for x in names().result]",
        "train().when(train() == 0.1)",
        "names().result[0]",
    ],
    "TIP115": ["train.using(timeout='soon')()"],
    "TIP118": ["train(rate=for_each('abc'))", "train(rate=for_each(5))"],
    "TIP119": ["say(text=f'accuracy: {train()}')", "say(text=f'{train().result}')"],
}
OUTSIDE = {
    "TIP110": [
        "component(lambda x: x)",
        "@component\ndef f(x): ...",
        "@component\ndef f(x: complex) -> None: ...",
        "@component\ndef f(x: int): ...",
        "@component\nasync def f(x: int) -> None: ...",
    ],
    "TIP101": ["Pipeline('My pipeline')"],
    "TIP126": ["container('alpine', ['x'], cache=Cache.by_content())"],
}


def found(folder: Path, text: str) -> TiphysError:
    file = folder / "mistake.py"
    file.write_text(text)
    with pytest.raises(TiphysError) as caught:
        tiphys.to_yaml(tiphys_pipeline(file))
    return caught.value


def tiphys_pipeline(file: Path) -> object:
    """The file as ``tiphys compile`` reads it."""
    from tiphys.compiler.source import load_source

    return load_source(str(file)).workflow


@pytest.mark.parametrize(
    ("code", "line"), [(code, line) for code, lines in INSIDE.items() for line in lines], ids=lambda x: x[:40]
)
def test_a_line_of_a_pipeline(code: str, line: str, tmp_path: Path) -> None:
    other = 'other_pipeline = Pipeline("other")\n\n' if "other_pipeline" in line else ""
    text = f'{HEAD}{other}with Pipeline("p") as pipeline:\n    say(text="a")\n    {line}\n'
    error = found(tmp_path, text)
    assert error.code == code, error
    assert error.where.endswith(f"mistake.py:{text.count(chr(10))}"), error
    assert error.fix


@pytest.mark.parametrize(
    ("code", "line"),
    [(code, line) for code, lines in OUTSIDE.items() for line in lines],
    ids=lambda x: x[:40],
)
def test_a_line_of_a_file(code: str, line: str, tmp_path: Path) -> None:
    error = found(tmp_path, f"{HEAD}{line}\n")
    begins = HEAD.count("\n") + 1
    assert error.code == code, error
    assert error.where.rpartition(":")[0].endswith("mistake.py"), error
    assert begins <= int(error.where.rpartition(":")[2]) <= begins + line.count("\n")
