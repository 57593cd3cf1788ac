"""Which versions are served, and which stands in for which."""

from __future__ import annotations

from tests.registry.test_changes import BY, moved, three
from tiphys.registry import put_default, put_weights, register, rollback
from tiphys.registry.document import ModelDocument
from tiphys.registry.routes import routes


def five() -> ModelDocument:
    document = three()
    for letter in "de":
        document, _ = register(document, letter, letter, BY)
    return document


def test_without_a_champion_the_newest_answers() -> None:
    assert routes(five()).chains == {"": (5, 4, 3)}
    assert routes(moved(five(), 1, alias="staging")).chains == {"": (5, 4, 3), "staging": (1,)}


def test_behind_an_alias_are_those_that_it_named_before() -> None:
    document = moved(five(), 1, 2, 1, 3, 4)
    assert routes(document).chains == {"champion": (4, 3, 1), "": (4, 3, 1)}
    assert routes(rollback(document, "champion", BY)).chains["champion"] == (3, 1, 2)
    assert routes(moved(document, None)).chains == {"": (5, 4, 3)}
    assert routes(document, "other").chains[""] == (5, 4, 3)


def test_the_default_is_the_last_to_be_asked_and_all_are_loaded() -> None:
    document = put_weights(put_default(moved(five(), 3, 4), 1, BY), {5: 10, 4: 90}, BY)
    found = routes(document)
    assert (
        found.chains[""] == (4, 3, 1) and found.versions == (1, 3, 4, 5) and found.weights == {5: 10, 4: 90}
    )
    assert routes(put_default(document, 4, BY)).chains[""] == (4, 3)
