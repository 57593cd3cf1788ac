"""Several real servers, one answer: who is late or gone is left out, and the rest is arithmetic."""

from __future__ import annotations

import json
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tiphys.errors import ServingError
from tiphys.serving import Ensemble, EnsembleMember, TooFewAnswersError, mean, vote
from tiphys.serving.server import ModelServer

ROWS = [[0.25, 0.5, 0.25], [0.75, 0.0, 0.25]]
Start = Callable[..., str]


@pytest.fixture
def start(tmp_path: Path, model_server: Callable[..., ModelServer]) -> Start:
    """A server whose answer is ``scale`` times what it is asked, and ``offset``; its address."""

    def made(scale: float = 1.0, offset: float = 0.0, **config: object) -> str:
        base = tmp_path / f"{scale}{offset}{config}"
        (base / "1").mkdir(parents=True)
        (base / "1" / "fake.json").write_text(json.dumps({"scale": scale, "offset": offset, **config}))
        return model_server(base).url

    return made


@pytest.fixture
def silent() -> Iterator[str]:
    """Somebody takes the connection, and says nothing."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_all_are_asked_and_the_mean_is_by_weight(start: Start) -> None:
    members = [EnsembleMember(start(), "m", 0.9), EnsembleMember(start(-1.0, 1.0), "m", 0.3)]
    with Ensemble(members, deadline=30) as ensemble:
        for _ in range(3):  # on the same connections
            answer = ensemble.predict(ROWS)
    for found, row in zip(answer.probabilities, ROWS, strict=True):
        assert found == pytest.approx([(0.9 * each + 0.3 * (1 - each)) / 1.2 for each in row])
    assert (answer.labels, answer.answered, answer.missing) == ([1, 0], [0, 1], {})
    assert answer.answers == {0: ROWS, 1: [[1 - each for each in row] for row in ROWS]}


def test_the_majority_and_how_much_a_vote_counts(start: Start) -> None:
    same, other = start(), start(-1.0, 1.0)

    def labels(*weights: float) -> list[int]:
        members = [
            EnsembleMember(url, "m", weight) for url, weight in zip((same, other, same), weights, strict=True)
        ]
        with Ensemble(members, combine="vote", deadline=30) as ensemble:
            return ensemble.predict(ROWS).labels

    assert labels(1, 1, 1) == [1, 0]
    assert labels(1, 5, 1) == [0, 1]


def test_who_is_late_or_gone_or_refuses_is_left_out(start: Start, silent: str, until: Any) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{closed.getsockname()[1]}"
        members = [
            EnsembleMember(silent, "m"),
            EnsembleMember(start(), "m"),
            EnsembleMember(gone, "m"),
            EnsembleMember(start(2.0), "other"),
        ]
        with Ensemble(members, deadline=3.0, at_least=1) as ensemble:
            for _ in range(2):
                answer = ensemble.predict(ROWS)
                assert answer.probabilities == ROWS and answer.answered == [1]
                codes = {place: error.code for place, error in answer.missing.items()}
                assert codes == {0: "TIP522", 2: "TIP520", 3: "TIP521"}
        with (
            Ensemble(members, deadline=3.0, at_least=2) as ensemble,
            pytest.raises(TooFewAnswersError) as told,
        ):
            ensemble.predict(ROWS)
        for error in (told.value, pickle.loads(pickle.dumps(told.value))):
            assert {place: each.code for place, each in error.missing.items()} == codes
        assert told.value.code == "TIP532" and told.value.message.startswith("1 of 4 models answered")
        assert all(each in told.value.cause for each in (silent, gone, "other"))
    until(lambda: not [each for each in threading.enumerate() if each.name == "tiphys-ensemble"])


def test_a_member_that_comes_back_is_asked_again(start: Start, model_server: Any, tmp_path: Path) -> None:
    server = model_server(tmp_path / "back")
    with Ensemble([EnsembleMember(start(), "m"), EnsembleMember(server.url, "m")], deadline=30) as ensemble:
        assert ensemble.predict(ROWS).answered == [0, 1]
        port = int(server.url.rpartition(":")[2])
        server.stop()
        assert ensemble.predict(ROWS).answered == [0]
        model_server(tmp_path / "back", port=port)
        assert ensemble.predict(ROWS).answered == [0, 1]


def test_who_is_just_starting_is_awaited(model_server: Any, start: Start, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    members = [EnsembleMember(start(), "m"), EnsembleMember(f"http://127.0.0.1:{port}", "m")]
    with Ensemble(members, deadline=30) as ensemble:
        assert ensemble.predict(ROWS).answered == [0]
    with Ensemble(members, deadline=30, at_least=2, patient=True) as ensemble:
        starting = threading.Timer(0.3, model_server, [tmp_path / "late"], {"port": port})
        starting.start()
        assert ensemble.predict(ROWS).answered == [0, 1]
        starting.join()


def test_patience_ends_with_the_deadline_and_with_the_ensemble(silent: str, start: Start, until: Any) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{closed.getsockname()[1]}"
        members = [EnsembleMember(url, "m") for url in (silent, start(), gone)]
        with Ensemble(members, deadline=3.0, patient=True) as ensemble:
            answer = ensemble.predict(ROWS)
    assert answer.answered == [1] and set(answer.missing) == {0, 2}
    assert answer.missing[2].code == "TIP525" and "refused" in answer.missing[2].cause
    assert "within 3 s" in answer.missing[2].message
    until(lambda: not [each for each in threading.enumerate() if each.name == "tiphys-ensemble"])


def test_a_question_in_several_requests(start: Start) -> None:
    seen: list[int] = []
    with Ensemble(
        [EnsembleMember(start(), "m")], deadline=30, batch=2, check=lambda rows: seen.append(len(rows))
    ) as ensemble:
        assert ensemble.predict(ROWS * 2 + ROWS[:1]).probabilities == ROWS * 2 + ROWS[:1]
        assert seen == [2, 2, 1]


def test_who_is_late_is_not_asked_for_the_rest(start: Start, until: Any) -> None:
    seen: list[int] = []
    after = threading.Event()

    def slow(rows: list[list[float]]) -> None:
        seen.append(len(rows))
        after.wait(20)

    with Ensemble([EnsembleMember(start(), "m")], deadline=1.0, batch=1, check=slow) as ensemble:
        with pytest.raises(TooFewAnswersError):
            ensemble.predict(ROWS)
        after.set()
        until(lambda: not [each for each in threading.enumerate() if each.name == "tiphys-ensemble"])
    assert len(seen) <= 1


def test_an_answer_that_does_not_pass_is_none(start: Start) -> None:
    def check(rows: list[list[float]]) -> None:
        if any(sum(row) != 1 for row in rows):
            raise ValueError("they do not add up")

    members = [EnsembleMember(start(2.0), "m"), EnsembleMember(start(), "m")]
    with Ensemble(members, deadline=30, check=check) as ensemble:
        answer = ensemble.predict(ROWS)
    assert answer.answered == [1] and answer.probabilities == ROWS
    assert answer.missing[0].code == "TIP523" and "they do not add up" in answer.missing[0].cause


def test_answers_that_are_no_probabilities(start: Start) -> None:
    with (
        Ensemble([EnsembleMember(start(), "m")], deadline=30) as ensemble,
        pytest.raises(ServingError) as told,
    ):
        ensemble.predict([1.0, 2.0])
    assert told.value.code == "TIP532" and "does not answer with probabilities" in told.value.cause


@pytest.mark.parametrize(
    ("members", "options"),
    [
        ([], {}),
        ([EnsembleMember("http://127.0.0.1:1", "m")], {"at_least": 2}),
        ([EnsembleMember("http://127.0.0.1:1", "m")], {"combine": "most"}),
        ([EnsembleMember("http://127.0.0.1:1", "m")], {"deadline": 0}),
        ([EnsembleMember("http://127.0.0.1:1", "m")], {"batch": -1}),
        ([EnsembleMember("127.0.0.1", "m")], {}),
    ],
)
def test_it_is_called_wrongly(members: list[EnsembleMember], options: dict[str, Any]) -> None:
    with pytest.raises(ServingError) as told:
        Ensemble(members, **options)
    assert told.value.code == "TIP524"


def test_weights_of_answers() -> None:
    a, b = [[0.6, 0.4]], [[0.1, 0.9]]
    assert mean([a, b], [3, 1]) == [pytest.approx([0.475, 0.525])]
    assert vote([a, b], [3, 1]) == [(0, 1, 0.75)]
    assert vote([a, b], [1, 1]) == [(1, 1, 0.5)]
    for weights in ([1], [0, 0], [-1, 2], [float("nan"), 1], [float("inf"), 1]):
        for combine in (mean, vote):
            with pytest.raises(ServingError) as told:
                combine([a, b], weights)
            assert told.value.code == "TIP526"
