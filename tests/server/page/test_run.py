"""The page of a run, as a browser shows it and as one without a script does."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from tests.server.page.browsing import browsing, needs_browser, violations
from tests.server.page.visits import visitor
from tests.server.running import FAILS, GATE
from tiphys.engine import RunOptions, run

pytestmark = pytest.mark.long

MARKUP = "<script>document.title='broken'</script><b>bold</b>"


def failed(store: Path, name: str = "fails-aaaaa") -> str:
    """A run of two steps, the second of which failed; markup wherever somebody may write."""
    workflow: Any = copy.deepcopy(FAILS)
    workflow["metadata"] = {"name": name, "labels": {"team": "blue"}}
    workflow["spec"]["arguments"] = {"parameters": [{"name": "text", "value": MARKUP}]}
    workflow["spec"]["templates"][2]["container"]["args"] = [f'echo "{MARKUP}"; exit 3']
    run(workflow, options=RunOptions(store=store, images={"*": "host"}))
    return name


def test_the_whole_plan_is_there_and_what_became_of_it(tmp_path: Path) -> None:
    name = failed(tmp_path)
    with visitor(tmp_path) as client:
        text = client.get(f"/ui/runs/{name}").text
        assert text.count('class="item ok"') == 1 and text.count('class="item bad"') == 1
        assert "exit code 3" in text and f"/ui/runs/{name}/do/retry" in text
        assert client.get("/ui/runs/none").status_code == 404


@needs_browser
def test_no_text_of_others_becomes_markup_and_axe_finds_nothing(tmp_path: Path) -> None:
    name = failed(tmp_path)
    with visitor(tmp_path) as client:
        node = next(
            key
            for key, each in (client.desk.board.get(name) or {})["status"]["nodes"].items()
            if each["displayName"] == "b"
        )
        paths = ["", f"/steps/{node}", "/logs", "/logs?word=script", "/do/retry", "/do/delete"]
        with browsing(client) as page:
            wrong = []
            page.on("console", lambda message: wrong.append(message.text))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            for path in [
                *(f"/ui/runs/{name}{each}" for each in paths),
                "/ui/runs",
                "/ui/submit",
                "/ui/locks",
            ]:
                page.goto(path)
                assert "broken" not in page.title()
                assert page.locator("main script, main b:text-is('bold')").count() == 0
                assert violations(page) == [], path
            assert wrong == []


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(tmp_path: Path, scheme: str) -> None:
    name = failed(tmp_path)
    with visitor(tmp_path) as client, browsing(client, scheme=scheme, width=380) as page:
        for path in (f"/ui/runs/{name}", "/ui/runs"):
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 380
            assert violations(page) == []


@needs_browser
def test_an_open_page_follows_the_run(tmp_path: Path) -> None:
    with visitor(tmp_path) as client:
        name = client.desk.create({**GATE, "metadata": {"name": "gate-aaaaa"}})["metadata"]["name"]  # type: ignore[typeddict-item]
        with browsing(client) as page:
            page.goto(f"/ui/runs/{name}")
            page.locator(".item.run .told").wait_for()
            page.locator(".head .go").click()
            page.get_by_role("button", name="Resume").click()
            page.locator(".item.ok").wait_for()
            page.locator("#head .phase.ok").wait_for()


@needs_browser
def test_without_a_script_a_step_that_failed_is_retried_from_the_page(tmp_path: Path) -> None:
    name = failed(tmp_path)
    with visitor(tmp_path) as client, browsing(client, script=False) as page:
        page.goto("/ui/runs")
        page.get_by_role("link", name=name).click()
        page.get_by_role("link", name="Retry").click()
        assert page.get_by_text("Keeps 1 steps, runs 1 again: b.").count() == 1
        page.get_by_role("button", name="Retry").click()
        page.wait_for_url(f"**/ui/runs/{name}")
        assert page.locator("h1", has_text=name).count() == 1
        assert client.desk.board.get(name) is not None


@needs_browser
def test_a_plan_that_is_too_large_is_seen_where_something_happens_and_whole_when_asked(
    tmp_path: Path,
) -> None:
    wide = copy.deepcopy(FAILS)
    first: Any = wide["spec"]["templates"][0]["dag"]["tasks"]  # type: ignore[index]
    for number in range(25):
        first.append({"name": f"t{number}", "template": "good"})
    wide["metadata"] = {"name": "wide"}
    run(wide, options=RunOptions(store=tmp_path, images={"*": "host"}))
    with visitor(tmp_path) as client, browsing(client) as page:
        page.goto("/ui/runs/wide")
        picture, bad = page.locator(".picture"), page.locator(".item.bad .box")
        around, inside = picture.bounding_box(), bad.bounding_box()
        assert around is not None and inside is not None
        assert around["x"] <= inside["x"] and inside["x"] + inside["width"] <= around["x"] + around["width"]
        assert picture.evaluate("each => each.scrollWidth > each.clientWidth")
        button = page.get_by_role("button", name="Whole plan")
        button.click()
        assert button.get_attribute("aria-pressed") == "true"
        assert picture.evaluate("each => each.scrollWidth <= each.clientWidth")
        assert violations(page) == []


def test_of_very_many_steps_those_that_did_not_succeed_are_shown_and_all_when_asked(tmp_path: Path) -> None:
    loop: Any = copy.deepcopy(FAILS)
    items = ["0"] * 150 + ["7"] + ["0"] * 149
    task = {"name": "each", "template": "end", "withItems": items}
    task["arguments"] = {"parameters": [{"name": "code", "value": "{{item}}"}]}
    loop["metadata"] = {"name": "loop"}
    loop["spec"]["templates"] = [
        {"name": "main", "dag": {"tasks": [task]}},
        {
            "name": "end",
            "inputs": {"parameters": [{"name": "code"}]},
            "container": {"image": "x", "command": ["sh", "-c"], "args": ["exit {{inputs.parameters.code}}"]},
        },
    ]
    run(loop, options=RunOptions(store=tmp_path, images={"*": "host"}))
    with visitor(tmp_path) as client:
        text = client.get("/ui/runs/loop").text
        steps = text.partition('id="tree"')[2].partition("</section>")[0]
        assert steps.count("<li><a") == 200 and "each(150:7)" in steps
        assert '100 more, <a href="/ui/runs/loop?steps=all#h-steps">show all</a>' in steps
        every = (
            client.get("/ui/runs/loop?steps=all").text.partition('id="tree"')[2].partition("</section>")[0]
        )
        assert every.count("<li><a") == 300 and "show all" not in every
