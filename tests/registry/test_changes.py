"""What the operations make of a document; MLflow's own answers are the pattern for aliases."""

from __future__ import annotations

import pytest

from tiphys.errors import RefusedError
from tiphys.registry import ModelDocument, put_default, put_weights, register, rollback, to_alias
from tiphys.registry.changes import MOST_UNDONE, By

BY = By("ann", "2026-11-28T21:00:00Z", "because")


def three(name: str = "fashion") -> ModelDocument:
    document = ModelDocument(name)
    for letter in "abc":
        document, made = register(
            document,
            f"pvc://tiphys/models/{letter}",
            f"sha256:{letter}",
            BY,
            run="r",
            report={"accuracy": 0.9},
        )
    assert made.number == 3
    return document


def moved(document: ModelDocument, *versions: int | None, alias: str = "champion") -> ModelDocument:
    for version in versions:
        document = to_alias(document, alias, version, BY)
    return document


def at(document: ModelDocument, alias: str = "champion") -> int | None:
    return document.aliases[alias].version


def test_the_same_folder_with_the_same_digest_is_the_version_that_it_is() -> None:
    document = three()
    again, made = register(document, "pvc://tiphys/models/b", "sha256:b", By("bob", "later"))
    assert again is document and made.number == 2 and made.who == "ann"
    changed, made = register(document, "pvc://tiphys/models/b", "sha256:other", BY)
    assert made.number == 4 and changed.versions[:3] == document.versions


def test_each_move_is_a_row_that_begins_where_the_last_one_ended() -> None:
    document = moved(three(), 1, 3, 2)
    assert [(row.sequence, row.before, row.after) for row in document.changes] == [
        (1, None, 1),
        (2, 1, 3),
        (3, 3, 2),
    ]
    assert {(row.who, row.at, row.alias, row.why) for row in document.changes} == {
        ("ann", "2026-11-28T21:00:00Z", "champion", "because")
    }
    assert moved(document, 2) is document  # it is there already: no row


def test_a_rollback_takes_back_the_last_move_that_was_not_taken_back() -> None:
    document = moved(three(), 1, 2, 3)
    document = rollback(document, "champion", BY)
    assert at(document) == 2
    document = rollback(document, "champion", BY)  # not 3 again, as an undo of the undo would be
    assert at(document) == 1
    with pytest.raises(RefusedError, match="TIP262"):
        rollback(document, "champion", BY)
    document = moved(document, 3)
    assert at(rollback(document, "champion", BY)) == 1
    assert [row.what for row in document.changes] == ["alias"] * 3 + ["rollback"] * 2 + ["alias"]


def test_an_alias_that_was_taken_away_comes_back_by_a_rollback() -> None:
    document = moved(three(), 2, None)
    assert at(document) is None and document.aliases_of(2) == []
    with pytest.raises(RefusedError, match="TIP261"):
        document.alias("champion")
    with pytest.raises(RefusedError, match="TIP261"):
        moved(document, None)
    assert at(rollback(document, "champion", BY)) == 2


def test_so_many_moves_can_be_taken_back_and_no_more() -> None:
    document = three()
    for number in range(MOST_UNDONE + 10):
        document = moved(document, number % 3 + 1)
    for _ in range(MOST_UNDONE):
        document = rollback(document, "champion", BY)
    with pytest.raises(RefusedError, match="TIP262"):
        rollback(document, "champion", BY)


def test_a_version_whose_folder_is_gone_is_no_target() -> None:
    document = moved(three(), 1, 2)
    asked = []

    def problem(version: object) -> str:
        asked.append(version)
        return "saved_model.pb is missing"

    with pytest.raises(RefusedError, match=r"TIP263.*version 1 of fashion") as caught:
        rollback(document, "champion", BY, problem=problem)
    assert caught.value.cause == "saved_model.pb is missing"
    with pytest.raises(RefusedError, match="TIP263"):
        to_alias(document, "champion", 3, BY, problem=problem)
    assert asked == [document.version(1), document.version(3)]
    to_alias(document, "champion", None, BY, problem=problem)


@pytest.mark.parametrize(
    ("weights", "code"),
    [({1: 90}, "TIP264"), ({1: 101, 2: -1}, "TIP264"), ({1: 100, 2: 0}, "TIP264"), ({9: 100}, "TIP261")],
)
def test_weights_make_a_hundred_of_versions_that_there_are(weights: dict[int, int], code: str) -> None:
    with pytest.raises(RefusedError, match=code):
        put_weights(three(), weights, BY)


def test_weights_and_the_default_are_rows_too() -> None:
    document = put_weights(three(), {3: 90, 2: 10}, BY)
    assert put_weights(document, {2: 10, 3: 90}, BY) is document
    document = put_default(put_weights(document, {}, BY), 1, BY)
    assert put_default(document, 1, BY) is document
    rows = [(row.what, row.before, row.after) for row in document.changes]
    assert rows == [
        ("weights", {}, {"2": 10, "3": 90}), ("weights", {"2": 10, "3": 90}, {}), ("default", None, 1)
    ]  # fmt: skip
    with pytest.raises(RefusedError, match="TIP261"):
        put_default(document, 4, BY)


def test_what_there_is_not_is_told_with_what_there_is() -> None:
    document = moved(three(), 1)
    with pytest.raises(RefusedError, match=r"TIP261.*Did you mean 'champion'"):
        document.find("champio")
    with pytest.raises(RefusedError, match="TIP261"):
        document.find("4")
    with pytest.raises(RefusedError, match="TIP261"):
        rollback(document, "other", BY)
    with pytest.raises(RefusedError, match="TIP261"):
        moved(document, 0)
    with pytest.raises(RefusedError, match="TIP260"):
        moved(document, 1, alias="v1")
    assert document.find("champion") == document.find("1")


def test_a_report_has_an_end() -> None:
    with pytest.raises(RefusedError, match="TIP268"):
        register(ModelDocument("m"), "pvc://a/b", "", BY, report={"text": "x" * 1000})
