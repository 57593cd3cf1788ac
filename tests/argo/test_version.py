"""The versions of Argo that are spoken of."""

from __future__ import annotations

import pytest

from tiphys.argo.version import ARGO_VERSIONS, NEWEST, known
from tiphys.errors import RefusedError


def test_the_newest_is_the_last() -> None:
    assert ARGO_VERSIONS == ("4.0", "4.1")
    assert NEWEST == "4.1"
    assert [known(each) for each in ARGO_VERSIONS] == ["4.0", "4.1"]


@pytest.mark.parametrize("version", ["", "3.7", "4", "4.10", "4.0.5"])
def test_another_is_refused(version: str) -> None:
    with pytest.raises(RefusedError, match=r"use one of 4\.0, 4\.1|unknown version") as caught:
        known(version)
    assert caught.value.code == "TIP215"
