"""Handing in, and watching until the result is certain: on files, with no workflow around."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tiphys.errors import ComponentError
from tiphys.reference import VOLUMES_ENV
from tiphys.step import enough as module
from tiphys.step.enough import Enough, decided, dropped, enough, hand_in, judged

FOLDER, RECORDS = "pvc://tiphys/runs/wf/enough", "pvc://tiphys/records/wf"


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VOLUMES_ENV, json.dumps({"tiphys": str(tmp_path)}))
    monkeypatch.setattr(module, "_PAUSE", 0.005)
    return tmp_path


def task(accuracy: float | None, status: str = "Succeeded", **more: Any) -> str:
    outputs = (
        {}
        if accuracy is None
        else {"parameters": {"report": json.dumps({"validation_accuracy": accuracy, **more})}}
    )
    return json.dumps({"status": status, "id": "x", **({"outputs": outputs} if outputs else {})})


def give(name: str, accuracy: float | None, status: str = "Succeeded", **more: Any) -> None:
    hand_in(name, task(accuracy, status, **more), "report", FOLDER)


def told(volume: Path, file: str, values: list[float], of: int) -> None:
    path = volume / "records/wf" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(json.dumps({"epoch": i + 1, "of": of, "accuracy": v}) + "\n" for i, v in enumerate(values))
    )


def watch(names: str = "a b c", top: int = 2, **options: Any) -> Enough:
    return enough(names.split(), top, options.pop("least", 0.5), FOLDER, RECORDS, **options)


def meanwhile(work: Callable[[], None], **options: Any) -> Enough:
    """What the watcher says when ``work`` is done while it waits."""
    found: list[Enough] = []
    thread = threading.Thread(target=lambda: found.append(watch(**options)), daemon=True)
    thread.start()
    time.sleep(0.03)
    assert not found
    work()
    thread.join(10)
    return found[0]


def test_all_that_were_judged(volume: Path) -> None:
    for name, accuracy in (("a", 0.9), ("b", 0.4), ("c", 0.8)):
        give(name, accuracy)
    found = watch()
    assert [each["validation_accuracy"] for each in found.reports] == [0.9, 0.4, 0.8]
    assert (found.dropped, found.stop) == ([], [])


def test_one_that_may_still_enter_is_waited_for(volume: Path) -> None:
    give("a", 0.9)
    give("b", 0.8)
    told(volume, "c-0f.jsonl", [0.3, 0.6], 10)
    found = meanwhile(lambda: give("c", 0.95))
    assert len(found.reports) == 3


def test_it_is_dropped_when_it_cannot(volume: Path) -> None:
    give("a", 0.9)
    give("b", 0.8)
    told(volume, "c-0f.worker-0.jsonl", [0.3, 0.6], 10)
    told(volume, "c-0f.worker-1.jsonl", [0.99] * 3, 10)  # only the first worker speaks for the training
    told(volume, "c-big-0f.jsonl", [0.99] * 3, 10)  # another candidate's
    found = meanwhile(lambda: told(volume, "c-0f.worker-0.jsonl", [0.3, 0.6, 0.601, 0.602, 0.603], 10))
    assert [(each.name, each.why) for each in found.dropped] == [("c", "behind")]
    assert found.stop == ["c"]
    assert json.loads((volume / "runs/wf/enough/decision.json").read_text())["stop"] == ["c"]


def test_what_the_others_gained_in_judgement_is_in_its_favour(volume: Path) -> None:
    told(volume, "a-0f.jsonl", [0.8, 0.82], 2)
    give("a", 0.9)
    give("b", 0.85)
    told(volume, "c-0f.jsonl", [0.75, 0.76, 0.76], 3)  # + 0.08 + 0.02 is above 0.85, + 0.02 alone is not
    assert len(meanwhile(lambda: give("c", 0.7)).reports) == 3


def test_a_model_from_the_cache_says_it_beside_itself(volume: Path) -> None:
    path = volume / "models/a/metrics.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text('{"epoch": 1, "accuracy": 0.8}\n')
    give("a", 0.9, uri="pvc://tiphys/models/a")
    give("b", 0.85, uri="pvc://gone/models/b")
    told(volume, "c-0f.jsonl", [0.75, 0.76, 0.76], 3)
    assert len(meanwhile(lambda: give("c", 0.7)).reports) == 3


def test_a_judgement_hands_itself_in(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a watcher has begun; what follows it changes nothing of that."""
    monkeypatch.setenv("TIPHYS_WORKFLOW", "wf")
    judged("a", {"validation_accuracy": 0.9})
    assert not (volume / "runs").exists()

    def work() -> None:
        judged("a", {"validation_accuracy": 0.9})
        give("a", None, "Failed")  # what came after the judgement failed
        give("b", 0.8)
        judged("c", {"validation_accuracy": 0.7})

    assert [each["validation_accuracy"] for each in meanwhile(work).reports] == [0.9, 0.8, 0.7]


def test_judged_and_ended(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more follows the judgement, such as an early publication."""
    monkeypatch.setenv("TIPHYS_WORKFLOW", "wf")

    def work() -> None:
        for name, accuracy in (("a", 0.9), ("b", 0.8), ("c", 0.7)):
            judged(name, {"validation_accuracy": accuracy})
        time.sleep(0.05)
        assert not (volume / "runs/wf/enough/decision.json").exists()
        for name in "abc":
            give(name, 0.1)  # the judgement is what was said first

    found = meanwhile(work, ended=True)
    assert [each["validation_accuracy"] for each in found.reports] == [0.9, 0.8, 0.7]


def test_failed_skipped_and_without_a_report(volume: Path) -> None:
    told(volume, "c-0f.jsonl", [0.3], 10)
    for name in "abe":
        give(name, 0.9)
    give("c", None, "Failed")
    give("d", None, "Omitted")
    give("f", None)
    found = watch("a b c d e f")
    assert [(each.name, each.reason) for each in found.dropped] == [
        ("c", "it ended as Failed after epoch 1 of 10"),
        ("d", "it ended as Omitted"),
        ("f", "it gave no report (Succeeded)"),
    ]
    assert {each.why for each in found.dropped} == {"failed"}
    assert found.stop == []


def test_patience_counts_from_when_the_top_was_complete(volume: Path) -> None:
    give("a", 0.9)
    time.sleep(0.03)
    give("b", 0.8)
    begin = time.time()
    found = watch(patience=0.1)
    assert time.time() - begin >= 0.09
    assert [(each.why, each.name) for each in found.dropped] == [("patience", "c")]
    assert "before its first epoch, 0 s after 2 others were good enough" in found.dropped[0].reason


def test_too_few_is_said_as_soon_as_it_is_certain(volume: Path) -> None:
    give("a", None, "Failed")
    give("b", 0.4)
    with pytest.raises(ComponentError) as caught:
        watch()  # c still runs
    assert caught.value.code == "TIP730"
    assert caught.value.cause == "got: a: it ended as Failed, b 0.4000"


def test_a_workflow_that_is_tried_again_tries_what_failed_again(volume: Path) -> None:
    give("a", 0.9)
    give("b", None, "Failed")
    give("c", None, "Error")
    with pytest.raises(ComponentError):
        watch()

    def again() -> None:
        give("b", 0.8)
        give("c", 0.7)

    assert len(meanwhile(again).reports) == 3


def test_who_is_started_again_says_the_same(volume: Path) -> None:
    give("a", 0.9)
    give("b", 0.8)
    first = watch(patience=0)
    give("c", 0.99)
    assert watch(patience=0) == first


def test_the_same_pass_when_accuracies_are_equal_to_the_least(volume: Path) -> None:
    for name in "abc":
        give(name, 0.5)
    assert len(watch().reports) == 3


@pytest.mark.parametrize("top", [0, 4])
def test_bad_top(volume: Path, top: int) -> None:
    with pytest.raises(ComponentError) as caught:
        watch(top=top)
    assert caught.value.code == "TIP731"


@pytest.mark.parametrize("report", ["[1]", '{"validation_accuracy": 1' + 400 * "0" + "}"])
def test_a_report_without_the_number(volume: Path, report: str) -> None:
    hand_in(
        "a",
        json.dumps({"status": "Succeeded", "outputs": {"parameters": {"report": report}}}),
        "report",
        FOLDER,
    )
    with pytest.raises(ComponentError) as caught:
        watch()
    assert caught.value.code == "TIP731"


def test_a_training_is_told_that_it_is_not_wanted(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give("a", 0.9)
    give("b", 0.8)
    watch("a b c c-big", patience=0)
    environ = {"TIPHYS_WORKFLOW": "wf", VOLUMES_ENV: json.dumps({"tiphys": str(volume)})}
    assert "good enough" in dropped({**environ, "TIPHYS_CACHE_KEY": "c-0f35"})
    assert "good enough" in dropped({**environ, "TIPHYS_CACHE_KEY": "c-big-0f35"})
    assert dropped({**environ, "TIPHYS_CACHE_KEY": "a-0f35"}) == ""
    assert dropped({**environ, "TIPHYS_CACHE_KEY": "c-0f35", "TIPHYS_WORKFLOW": "other"}) == ""
    assert dropped({}) == ""


def test_another_folder_is_found_by_who_judges_and_who_trains(
    volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`enough(…, folder=…)`: they know the run alone."""
    monkeypatch.setitem(globals(), "FOLDER", "pvc://tiphys/judged/here/wf/enough")
    monkeypatch.setenv("TIPHYS_WORKFLOW", "wf")
    monkeypatch.setenv("TIPHYS_CACHE_KEY", "c-0f35")

    def work() -> None:
        assert not decided(volume / "runs/wf")
        judged("a", {"validation_accuracy": 0.9})
        judged("b", {"validation_accuracy": 0.8})

    assert [each.name for each in meanwhile(work, patience=0).dropped] == ["c"]
    assert "good enough" in dropped()
    assert decided(volume / "runs/wf") and not decided(volume / "runs/other")
    assert (volume / "judged/here/wf/enough/decision.json").exists()
    watch()  # the step is started again
    assert len(list((volume / "runs/wf").iterdir())) == 1
