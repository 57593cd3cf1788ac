"""The views in a browser: nothing that axe finds, and a picture that is drawn with the keyboard."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.server.page.browsing import browsing, needs_browser, violations
from tests.server.page.visits import visitor
from tests.server.views.made import store
from tests.server.views.test_routes import ALL
from tiphys.serving import BalancerProcess
from tiphys.serving.flags import ModelConfig
from tiphys.serving.model import fake
from tiphys.serving.server import ModelServer, ServerConfig

pytestmark = [pytest.mark.long, needs_browser]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 380)])
def test_nothing_that_axe_finds_and_nothing_too_wide(scheme: str, width: int) -> None:
    with visitor(store()) as client, browsing(client, scheme=scheme, width=width) as page:
        for path in ALL:
            page.goto(path)
            assert violations(page) == [], path
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_a_picture_is_drawn_with_the_keyboard_and_models_answer(tmp_path: Path) -> None:
    (tmp_path / "model" / "1").mkdir(parents=True)
    config = ServerConfig(
        models=[ModelConfig("m", tmp_path / "model")],
        host="127.0.0.1",
        port=0,
        loader=fake.load,
        poll_seconds=3600.0,
    )
    balancer = BalancerProcess.start(store() / "runs" / "one" / "balancer.sock")
    try:
        with ModelServer(config) as server, visitor(store()) as client, browsing(client) as page:
            address = server.url.removeprefix("http://")
            balancer.apply("one-first:8501", host="127.0.0.1", port=0, endpoints=[address])
            page.goto("/ui/runs/one/models")
            assert violations(page) == []
            canvas, said = page.locator("#pad canvas"), page.locator("#pad-said")
            canvas.focus()
            for _ in range(14):
                canvas.press("ArrowUp")
                canvas.press("ArrowLeft")
            canvas.press(" ")
            # the model names the class by the first pixel, which is 255 now: 255 % 10
            expect(said).to_contain_text("5 100 %")
            canvas.press("Delete")
            expect(said).to_contain_text("Draw")
            assert (
                page.locator(".pad-table tbody tr").count() == 10 and said.get_attribute("role") == "status"
            )
    finally:
        balancer.stop()
