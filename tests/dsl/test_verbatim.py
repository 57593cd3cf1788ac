"""What a component returns arrives as it is, whatever Argo would take for its own in it."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest

import tiphys
from tiphys.compiler.load import load
from tiphys.engine import RunOptions

HOSTILE = [
    "{{workflow.parameters.hidden}}",
    "{{=1+1}}",
    "{{{{inputs.parameters.x}}}}",
    "{{{x}}}",
    "a {{ b",
    "{\u2060{x}}",
    '{"a":{"b":{"c":"{{item}}"}}}',
    "$é $\u2060 $~ $",
    "{{retries}} $(X) $$ 'q' \"q\" \\ \n\t é",
]
FILE = textwrap.dedent(
    """
    import json
    from dataclasses import dataclass
    from tiphys import Pipeline, component, for_each

    TEXTS = json.loads({texts!r})

    @dataclass(frozen=True)
    class Record:
        text: str
        texts: list[str]

    @component
    def one() -> Record:
        return Record(TEXTS[0], TEXTS)

    @component
    def many() -> list[str]:
        return TEXTS

    @component
    def nested() -> dict[str, list[str]]:
        return {{"k": TEXTS}}

    @component
    def same(text: str) -> str:
        assert text in TEXTS, text
        return text

    @component
    def all_of(texts: list[str], deep: dict[str, list[str]], again: list[str]) -> bool:
        assert texts == TEXTS, texts
        assert deep == {{"k": TEXTS}}, deep
        assert sorted(again) == sorted(TEXTS), again
        return True

    with Pipeline("braces") as pipeline:
        pipeline.param("hidden", "TOPSECRET")
        first = one()
        same(text=first.text).named("alone")
        looped = same(text=for_each(many())).named("looped")
        all_of(texts=first.texts, deep=nested(), again=looped)
    """
)


@pytest.mark.parametrize("first", range(len(HOSTILE)))
def test_values_of_components_are_data(tmp_path: Path, first: int) -> None:
    texts = HOSTILE[first:] + HOSTILE[:first]
    path = tmp_path / "braces.py"
    path.write_text(FILE.format(texts=json.dumps(texts)), encoding="utf-8")
    result = tiphys.run(str(path), options=RunOptions(store=tmp_path / "store"))
    assert result.succeeded, result.message


def test_lint_has_nothing_to_say_of_them(tmp_path: Path) -> None:
    path = tmp_path / "braces.py"
    path.write_text(FILE.format(texts=json.dumps(HOSTILE)), encoding="utf-8")
    found = tiphys.lint(tiphys.to_yaml(load(str(path))))
    assert [each for each in found if each.severity != "info" or each.code == "L375"] == []
