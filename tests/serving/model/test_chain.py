"""Versions that stand in for one another."""

from __future__ import annotations

import asyncio
import collections
from pathlib import Path
from typing import Any

import pytest

from tiphys.serving.model.chain import FAILURES, REST, answered, in_turn
from tiphys.serving.model.manager import Version
from tiphys.serving.model.servable import Code, ModelError


def there(*numbers: int) -> dict[int, Version]:
    return {number: Version("m", number, Path("x"), state="AVAILABLE") for number in numbers}


def ask(versions: dict[int, Version], turn: list[int], errors: dict[int, Code], now: float = 0.0) -> Any:
    async def one(number: int) -> int:
        if number in errors:
            raise ModelError(errors[number], "no")
        return number

    return asyncio.run(answered(versions, turn, one, lambda: now))


def test_what_is_not_loaded_is_not_asked() -> None:
    versions = there(1, 2)
    versions[2].state = "END"
    assert in_turn(versions, (3, 2, 1), {}, 0.0) == [1]


def test_the_next_one_answers_when_the_first_errs() -> None:
    versions = there(1, 2)
    assert ask(versions, [2, 1], {2: Code.INTERNAL}) == 1
    assert ask(versions, [2, 1], {}) == 2 and versions[2].failures == 0


@pytest.mark.parametrize(
    "code", [Code.INVALID_ARGUMENT, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.NOT_FOUND]
)
def test_a_fault_of_the_request_or_of_the_load_is_the_answer(code: Code) -> None:
    versions = there(1, 2)
    with pytest.raises(ModelError) as caught:
        ask(versions, [2, 1], {2: code})
    assert caught.value.code is code and versions[2].failures == 0


def test_who_errs_again_and_again_is_asked_last_for_a_while() -> None:
    versions = there(1, 2)
    for _ in range(FAILURES):
        assert in_turn(versions, (2, 1), {}, 100.0) == [2, 1]
        ask(versions, [2, 1], {2: Code.INTERNAL}, now=100.0)
    assert in_turn(versions, (2, 1), {}, 100.0) == [1, 2]
    assert in_turn(versions, (2, 1), {}, 100.0 + REST) == [2, 1]


def test_when_all_err_the_last_error_is_the_answer() -> None:
    with pytest.raises(ModelError) as caught:
        ask(there(1, 2), [2, 1], {1: Code.INTERNAL, 2: Code.UNKNOWN})
    assert caught.value.code is Code.INTERNAL


def test_weights_say_who_is_asked_first() -> None:
    versions = there(1, 2, 3)
    first = collections.Counter(in_turn(versions, (3, 1), {3: 90, 2: 10}, 0.0)[0] for _ in range(2000))
    assert set(first) == {2, 3} and 100 < first[2] < 320
    assert in_turn(versions, (3, 1), {2: 100}, 0.0) == [2, 3, 1]
