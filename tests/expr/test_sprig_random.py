"""sprig's draws: of the right form, different each time, and the same again when a run is replayed."""

from __future__ import annotations

import base64
import contextvars
import re
import uuid
from collections.abc import Iterator

import pytest

from tests.expr.answers import PRESENTLY
from tiphys.expr.evaluate import evaluate
from tiphys.expr.moment import PRESENT
from tiphys.expr.sprig import SPRIG


@pytest.fixture(autouse=True)
def moment() -> Iterator[None]:
    token = PRESENT.set(PRESENTLY)
    yield
    PRESENT.reset(token)


def drawn(text: str) -> object:
    return evaluate(text, {"sprig": SPRIG})


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("sprig.randAlphaNum(40)", "[A-Za-z0-9]{40}"),
        ("sprig.randAlpha(40)", "[A-Za-z]{40}"),
        ("sprig.randNumeric(40)", "[0-9]{40}"),
        ("sprig.randAscii(40)", "[ -~]{40}"),
        ("sprig.randAlpha(0)", ""),
        ("sprig.uuidv4()", "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
    ],
)
def test_forms(text: str, form: str) -> None:
    value = str(drawn(text))
    assert re.fullmatch(form, value)
    if form:
        assert value != drawn(text)


def test_uuids_are_of_version_4() -> None:
    assert uuid.UUID(str(drawn("sprig.uuidv4()"))).version == 4


def test_numbers_are_from_the_first_to_below_the_last() -> None:
    assert {drawn("sprig.randInt(2, 5)") for _ in range(200)} == {2, 3, 4}


def test_bytes_are_told_in_base64() -> None:
    assert len(base64.b64decode(str(drawn("sprig.randBytes(12)")))) == 12


def test_a_shuffle_has_the_same_letters() -> None:
    shuffled = str(drawn("sprig.shuffle('abcdefghijklmnop')"))
    assert shuffled != "abcdefghijklmnop" and sorted(shuffled) == list("abcdefghijklmnop")


def test_the_same_moments_draw_the_same_again() -> None:
    def history() -> list[object]:
        values = []
        for now in (1.0, 1.0, 2.0, 3.0):
            PRESENT.set(now)
            values += [drawn("sprig.randAlpha(8)"), drawn("sprig.uuidv4()")]
        return values

    first, again = (contextvars.copy_context().run(history) for _ in range(2))
    assert first == again
    assert len(set(first)) == len(first)
