"""How many workers a training may have, and what is no such number."""

from __future__ import annotations

from typing import Any

import pytest

import tiphys
from tests.dsl import library
from tests.dsl.test_resources import training
from tiphys import Gang, Semaphore, TFJob


def test_a_pair_of_one_number_is_that_number() -> None:
    _, one = training(workers=(2, 2), gang=Gang(capacity=4))
    assert "tiphys.dev/backup" not in one["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        ({"workers": (4, 1)}, "TIP109", "workers=(4, 1)"),
        ({"workers": (0, 1)}, "TIP109", "workers=(0, 1)"),
        ({"workers": (True, 2)}, "TIP109", "workers=(True, 2)"),
        ({"workers": (1, 2, 3)}, "TIP109", "workers=(1, 2, 3)"),
        ({"workers": [2, 1]}, "TIP109", "workers=[2, 1]"),
        ({"workers": []}, "TIP109", "workers=[]"),
        ({"workers": [1, "2"]}, "TIP109", "workers=[1, '2']"),
        ({"workers": (1, 4), "gang": None}, "TIP109", "may not change"),
        ({"workers": (1, 4), "locks": [Semaphore("s", 1)]}, "TIP109", "may not change"),
        ({"workers": (1, 4), "success_policy": ""}, "TIP109", "may not change"),
        ({"workers": (1, 8)}, "TIP109", "never fits"),
        ({"workers": (1, 4), "backup": "wrok"}, "TIP103", "backup='wrok'"),
    ],
)
def test_wrong_numbers_of_workers(options: dict[str, Any], code: str, text: str) -> None:
    with pytest.raises(tiphys.DefinitionError) as caught:
        TFJob(library.train, **{"gang": Gang(capacity=4), **options})
    assert caught.value.code == code and text in caught.value.message
