"""Verbs of the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.server.page.browsing import browsing, needs_browser
from tests.server.page.visits import visitor
from tests.server.running import FAILS, HELLO
from tests.server.runs import ended, laid_down
from tiphys.engine import RunOptions, run


def test_what_is_asked_is_told_and_done(tmp_path: Path) -> None:
    ended(tmp_path, "old")
    with visitor(tmp_path) as client:
        assert "gone for good" in client.get("/ui/runs/old/do/delete").text
        assert client.get("/ui/runs/old/do/stop").status_code == 409
        assert client.get("/ui/runs/old/do/retry").status_code == 409
        assert client.get("/ui/runs/old/do/explode").status_code == 404
        assert client.fill("/ui/runs/old/do/delete").status_code == 200
        assert client.desk.board.get("old") is None


def test_a_run_that_goes_on_is_ended(tmp_path: Path) -> None:
    name = laid_down(tmp_path, "gate")
    with visitor(tmp_path) as client:
        assert "Everything ends at once" in client.get(f"/ui/runs/{name}/do/terminate").text
        client.fill(f"/ui/runs/{name}/do/terminate")
        found = client.desk.board.get(name)
        assert found is not None and found["status"]["phase"] == "Failed"


@needs_browser
def test_every_verb_is_done_with_a_browser(tmp_path: Path) -> None:
    """From YAML to the deletion: submit, suspend, resume, stop, retry, terminate, resubmit, delete."""
    asleep: Any = {**HELLO, "metadata": {"name": "asleep"}}
    sleep = {"name": "main", "container": {"image": "x", "command": ["sleep"], "args": ["300"]}}
    asleep["spec"] = {"entrypoint": "main", "templates": [sleep]}
    with visitor(tmp_path) as client, browsing(client) as page:

        def act(verb: str) -> None:
            page.locator(".head").get_by_role("link", name=verb, exact=True).click()
            page.get_by_role("button", name=verb, exact=True).click()
            page.wait_for_url("**/ui/runs/*")

        page.goto("/ui/submit")
        page.locator("textarea").fill(json.dumps(asleep))
        page.get_by_role("button", name="Submit YAML").click()
        page.wait_for_url("**/ui/runs/asleep")
        page.locator("#head .phase.run").wait_for()
        act("Suspend")
        act("Resume")
        act("Stop")
        page.locator("#head .phase.bad").wait_for()
        act("Retry")
        page.locator("#head .phase.run").wait_for()
        act("Terminate")
        page.locator("#head .phase.bad").wait_for()
        act("Resubmit")
        again = page.url.rpartition("/")[2]
        assert again.startswith("asleep-")
        page.locator("#head .phase.run").wait_for()
        act("Terminate")
        page.locator("#head .phase.bad").wait_for()
        page.locator(".head").get_by_role("link", name="Delete").click()
        page.get_by_role("button", name="Delete").click()
        page.wait_for_url("**/ui/runs")
        assert page.get_by_role("link", name=again).count() == 0
        assert client.desk.board.get(again) is None


@needs_browser
def test_the_log_of_a_step_that_failed_is_eight_keys_away(tmp_path: Path) -> None:
    run({**FAILS, "metadata": {"name": "fails"}}, options=RunOptions(store=tmp_path, images={"*": "host"}))  # type: ignore[typeddict-item]
    with visitor(tmp_path) as client, browsing(client) as page:
        page.goto("/ui/runs/fails")
        pressed = ["Tab", "Enter"]  # past what all pages begin with
        for key in pressed:
            page.keyboard.press(key)
        while page.evaluate("document.activeElement.textContent") != "Logs":
            assert len(pressed) < 8
            pressed.append("Tab")
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**/fails/logs")
        assert len(pressed) + 1 <= 8
        assert page.locator("pre[data-source=b]").inner_text() == "bad\n"
