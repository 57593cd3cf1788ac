"""What a Pipeline gives: mappings that are the caller's own, and no task of a call that was refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.dsl import kitchen_sink
from tiphys import DefinitionError, Pipeline, Scheduling, component, dag, for_each


@component
def show(text: str = "x", at: dict[str, int] | None = None) -> str:
    return text


@dag
def shown(text: str) -> str:
    show(at=for_each([{"a": 1}]))
    return show(text=text).result


def looped() -> Pipeline:
    with Pipeline("p", scheduling=Scheduling(node_selector={"disk": "ssd"}), patch={"hooks": {}}) as pipeline:
        shown(text=show())
        show(at=for_each([{"a": 1}, {"a": 2}])).on_exit(show)
    return pipeline


def containers(value: Any) -> Iterator[Any]:
    if isinstance(value, (dict, list)):
        yield value
        for each in value.values() if isinstance(value, dict) else value:
            yield from containers(each)


@pytest.mark.parametrize("build", [looped, kitchen_sink.build])
def test_what_is_given_shares_nothing_with_what_is_given_next(build: Any) -> None:
    pipeline = build()
    found = [*containers(pipeline.to_dict()), *containers(pipeline.to_dict())]
    assert len({id(each) for each in found}) == len(found)


def test_a_list_that_is_looped_over_is_copied_to_the_last() -> None:
    items = [{"a": 1}]
    with Pipeline("p") as pipeline:
        show(at=for_each(items))
    pipeline.to_dict()["spec"]["templates"][0]["dag"]["tasks"][0]["withItems"][0]["a"] = 2
    assert items == [{"a": 1}]


def test_a_call_that_is_refused_makes_no_task() -> None:
    with Pipeline("p") as pipeline:
        show()
        with pytest.raises(DefinitionError, match="TIP114"):
            show(text=for_each(["a", "b"], until=lambda _: True))
        with pytest.raises(DefinitionError, match="TIP103"):
            show(word="a")
    assert [each["name"] for each in pipeline.to_dict()["spec"]["templates"][0]["dag"]["tasks"]] == ["show"]
