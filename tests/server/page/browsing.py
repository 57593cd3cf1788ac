"""The browser of this machine, which is Debian's chromium; none is downloaded."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

from tests.server.page.visits import Visitor

CHROMIUM = shutil.which("chromium") or ""
needs_browser = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")


@contextlib.contextmanager
def browsing(
    client: Visitor, *, script: bool = True, scheme: str = "light", width: int = 1280
) -> Iterator[Page]:
    """A window that came in by a link."""
    with sync_playwright() as known:
        browser = known.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            context = browser.new_context(
                base_url=client.base,
                java_script_enabled=script,
                color_scheme="dark" if scheme == "dark" else "light",
                viewport={"width": width, "height": 900},
            )
            page = context.new_page()
            page.set_default_timeout(90_000)  # of a busy machine
            page.goto(client.link())
            page.wait_for_url("**/ui/runs")
            yield page
        finally:
            browser.close()


def violations(page: Page) -> list[str]:
    """What axe finds, of any impact."""
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found]
