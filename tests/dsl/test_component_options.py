"""The options of a component: frozen, checked, and said in one place for ``@component`` and ``using``."""

from __future__ import annotations

import pytest

from tiphys import Mutex
from tiphys.dsl.component_options import ComponentOptions, changed
from tiphys.errors import DefinitionError


def test_lists_and_mappings_become_frozen() -> None:
    lock = Mutex("m")
    given = {"env": {"B": "2", "A": "1"}, "locks": [lock], "depends_on": "a.csv", "egress": ["web"]}
    made = changed(ComponentOptions(), given)
    assert made.env == (("A", "1"), ("B", "2"))
    assert (made.locks, made.depends_on, made.egress) == ((lock,), ("a.csv",), ("web",))
    assert hash(made) == hash(changed(ComponentOptions(), given))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("cache", "14d", "write cache="),
        ("locks", "m", "write a list"),
        ("env", {"A": 1}, 'write "1"'),
        ("egress", 5, "network policies"),
        ("egress", ["The Web"], "for example"),
        ("read_only_root", "no", "True or False"),
    ],
)
def test_another_type_is_refused_with_the_fix(name: str, value: object, words: str) -> None:
    with pytest.raises(DefinitionError) as found:
        changed(ComponentOptions(), {name: value})
    assert words in found.value.fix
