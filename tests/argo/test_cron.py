"""Schedules beside what robfig/cron answered with Argo's ways of asking it (recorded by record.py)."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.tools import argo_lint
from tiphys.argo import cron
from tiphys.argo.cron import after, child_workflow, never, next_times, problem, zone_problem
from tiphys.errors import RefusedError

Json = Any
RECORDED: list[Json] = json.loads((Path(__file__).parent / "cron.json").read_text(encoding="utf-8"))


def times(schedule: str, zone: str, moment: float) -> list[float]:
    found: list[float] = []
    while len(found) < 3 and (time := after(schedule, zone, moment)) is not None:
        found.append(time)
        moment = time
    return found


def ours(asked: Json) -> Json:
    if problem(asked["text"]):
        return "refused"
    if problem(asked["text"], asked["zone"]):
        return "refused with the zone"
    return [times(asked["text"], asked["zone"], moment) for moment in asked["after"]]


def test_as_robfig_answers() -> None:
    assert len(RECORDED) > 300
    assert sum("refused" in item for item in RECORDED) > 60
    different = []
    for item in RECORDED:
        expected = item.get("is", "refused")
        if str(item.get("refused")).startswith("with the zone: "):
            expected = "refused with the zone"
        if ours(item) != expected:
            different.append((item, ours(item)))
    assert not different


def test_as_argo_lint_answers(tmp_path: Path) -> None:
    """The same texts through the real program, all in one file."""
    texts = [
        text for text in dict.fromkeys(item["text"] for item in RECORDED) if text != "TZ=UTC"
    ]  # it panics
    spec = {"entrypoint": "main", "templates": [{"name": "main", "suspend": {}}]}
    documents = [
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "CronWorkflow",
            "metadata": {"name": f"c-{number}", "namespace": "argo"},
            "spec": {"schedules": [text], "workflowSpec": spec},
        }
        for number, text in enumerate(texts)
    ]
    said = argo_lint("\n---\n".join(json.dumps(document) for document in documents), tmp_path)
    refused = {int(number) for number in re.findall(r'in "c-(\d+)" \(CronWorkflow\): cron schedule', said)}
    assert len(texts) > 300 and len(refused) > 60
    assert {number for number, text in enumerate(texts) if problem(text)} == refused


def test_what_never_comes_is_known_without_a_search() -> None:
    comes: dict[str, bool] = {}
    for item in RECORDED:
        if "is" in item:
            comes[item["text"]] = comes.get(item["text"], False) or any(item["is"])
    assert {text for text, some in comes.items() if not some} == {text for text in comes if never(text)}
    assert never("0 0 30 2 *") and never("0 0 31 4,6 *") and never(", * * * *")
    assert not never("0 0 31 4,6 0") and not never("0 0 29 2 *") and not never("61 * * * *")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def shown(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M")


def test_several_schedules_in_order_and_a_zone() -> None:
    given = {"spec": {"schedules": ["0 12 * * *", "0 6 * * *"], "timezone": "Europe/Berlin"}}
    assert [shown(moment) for moment in islice(next_times(given, at("2024-07-01 05:00")), 3)] == [
        "2024-07-01 10:00",
        "2024-07-02 04:00",
        "2024-07-02 10:00",
    ]


def test_times_end_when_none_comes() -> None:
    assert list(next_times({"spec": {"schedules": ["0 0 30 2 *"]}}, at("2024-07-01 05:00"))) == []


@pytest.mark.parametrize("given", [{}, {"spec": {"schedules": []}}, {"spec": {"schedules": ["61 * * * *"]}}])
def test_what_has_no_schedule_is_refused(given: Json) -> None:
    with pytest.raises(RefusedError) as raised:
        next(next_times(given, 0))
    assert raised.value.code == "TIP265"


def test_a_zone_in_both_places_is_no_schedule_for_the_controller() -> None:
    assert not problem("CRON_TZ=Asia/Tokyo 0 0 * * *")
    assert problem("CRON_TZ=Asia/Tokyo 0 0 * * *", "Europe/Rome")


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ("", "it is empty"),
        ("TZ=UTC", "nothing follows the time zone"),
        ("TZ=Nope 0 0 * * *", "unknown time zone Nope"),
        ("* * * *", "expected exactly 5 fields, found 4"),
        ("61 * * * *", "minute: end of range (61) above maximum (59): 61"),
        ("0 0 0 * *", "day of month: beginning of range (0) below minimum (1): 0"),
        ("*/0 * * * *", "minute: step of range should be a positive number: */0"),
        ("5-1 * * * *", "minute: beginning of range (5) beyond end of range (1): 5-1"),
        ("1-2-3 * * * *", "minute: too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "minute: too many slashes: 1/2/3"),
        ("*/-2 * * * *", "minute: negative number (-2) not allowed: -2"),
        ("x * * * *", "minute: failed to parse int from x"),
        ("@every 14d", 'time: unknown unit "d" in duration "14d"'),
        ("@often", "unrecognized descriptor: @often"),
    ],
)
def test_what_is_wrong_is_told(schedule: str, reason: str) -> None:
    assert problem(schedule) == reason
    with pytest.raises(RefusedError):
        after(schedule, "", 0)


def test_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Europe/Rome" in cron.zones()
    assert [zone_problem(name) for name in ("", "UTC", "Local", "Europe/Rome")] == [""] * 4
    assert zone_problem("Europe/Roma") == "unknown time zone Europe/Roma"
    assert zone_problem("../etc/passwd") and zone_problem("Europe")
    monkeypatch.setattr(cron, "zones", lambda: ())  # no data base: nobody can know
    assert zone_problem("Europe/Roma") == ""


def test_the_workflow_of_a_run() -> None:
    given = {
        "metadata": {"name": "nightly", "namespace": "argo"},
        "spec": {
            "schedules": ["0 2 * * *"],
            "workflowMetadata": {"labels": {"a": "b"}},
            "workflowSpec": {"entrypoint": "main"},
        },
    }
    made = child_workflow(given, at("2024-01-01 02:00"))
    assert made["metadata"] == {
        "name": "nightly-1704074400",
        "namespace": "argo",
        "labels": {"a": "b", "workflows.argoproj.io/cron-workflow": "nightly"},
        "annotations": {"workflows.argoproj.io/scheduled-time": "2024-01-01T02:00:00Z"},
    }
    assert made["spec"] == {"entrypoint": "main"}
    assert child_workflow({"metadata": {"generateName": "n-"}}, 0)["metadata"]["name"] == "n-0"
