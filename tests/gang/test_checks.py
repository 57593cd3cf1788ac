"""Each kind of gang is asked its own webhook."""

from __future__ import annotations

import pytest

from tiphys.argo.answers import ApiError
from tiphys.engine.objects.kinds import KINDS
from tiphys.errors import RefusedError
from tiphys.gang.checks import GANGS, check_gang


@pytest.mark.parametrize("kind", GANGS)
def test_a_gang_of_nothing_is_refused(kind: str) -> None:
    with pytest.raises((ApiError, RefusedError), match=f"(?i){kind}"):
        check_gang({"kind": kind, "metadata": {"name": "a"}})


def test_of_others_nothing_is_said() -> None:
    check_gang({"kind": "ConfigMap"})
    assert set(GANGS) <= {each.kind for each in KINDS}
