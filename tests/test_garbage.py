"""How often Python looks for garbage during a run, and what it is left with."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tiphys.garbage import never_collected, seldom_collected


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_it_looks_seldom_and_then_as_often_as_before() -> None:
    gc.set_threshold(700, 10, 10)
    with seldom_collected():
        assert gc.get_threshold() == (20_000, 10, 10)
    assert gc.get_threshold() == (700, 10, 10)


def test_also_after_an_error() -> None:
    gc.set_threshold(700, 10, 10)
    with pytest.raises(ValueError, match="no"), seldom_collected():
        raise ValueError("no")
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("own", [0, 50_000])
def test_who_wants_it_more_seldom_or_never_has_it_so(own: int) -> None:
    gc.set_threshold(own, 10, 10)
    with seldom_collected():
        assert gc.get_threshold()[0] == own


@pytest.mark.parametrize("on", [True, False])
def test_never_and_then_as_before(on: bool) -> None:
    (gc.enable if on else gc.disable)()
    try:
        with pytest.raises(ValueError, match="no"), never_collected():
            assert not gc.isenabled()
            raise ValueError("no")
        assert gc.isenabled() == on
    finally:
        gc.enable()
