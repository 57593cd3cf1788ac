"""The real Argo UI on `tiphys ui --argo`, used as a person does, in a real browser.

    scripts/argo_ui_walk.py [--pictures FOLDER]

`argo` of the PATH must have its pages in it, as the released one has; one that is built from the Go module alone has
none (`make ui` of Argo's sources makes them). Chromium is that of the machine. Each button is pressed, and the store is
asked what became of it. What is printed: a line for each thing that was done; it ends with an error at the first that
did not happen, or when the UI had an error of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Response, sync_playwright

from tiphys.engine import RunOptions
from tiphys.gang.tf_config import free_ports
from tiphys.runs.local.backend import LocalRuns

API = "argoproj.io/v1alpha1"
# lines of a log are drawn on a canvas: what came is kept here, too
KEEP = """window.said = [];
const Source = window.EventSource;
window.EventSource = class extends Source {
  constructor(...given) { super(...given); this.addEventListener('message', each => window.said.push(each.data)); }
};"""


def container(name: str, script: str, **more: object) -> dict[str, Any]:
    return {"name": name, "container": {"image": "x", "command": ["sh", "-c"], "args": [script]}, **more}


WORD = {"parameters": [{"name": "word", "value": "hello"}]}
MADE = {"artifacts": [{"name": "made", "path": "/tmp/made.txt", "archive": {"none": {}}}]}
TASKS = [{"name": "make"}, {"name": "gate", "depends": "make"}, {"name": "last", "depends": "gate"}]
FLOW = {
    "apiVersion": API,
    "kind": "Workflow",
    "metadata": {"generateName": "walk-"},
    "spec": {
        "entrypoint": "main",
        "arguments": WORD,
        "templates": [
            {"name": "main", "dag": {"tasks": [{**task, "template": task["name"]} for task in TASKS]}},
            container("make", "echo {{workflow.parameters.word}} | tee /tmp/made.txt", outputs=MADE),
            {"name": "gate", "suspend": {}},
            container("last", "echo last; exit 3"),
        ],
    },
}
SLOW = {
    **FLOW,
    "spec": {"entrypoint": "slow", "templates": [container("slow", "sleep 30")]},
}
TEMPLATE = {
    "apiVersion": API,
    "kind": "WorkflowTemplate",
    "metadata": {"name": "greet"},
    "spec": {
        "entrypoint": "main",
        "arguments": WORD,
        "templates": [container("main", "echo {{workflow.parameters.word}}")],
    },
}


@contextmanager
def started(store: Path) -> Iterator[str]:
    """`tiphys ui --argo` on an empty store; the URL of the UI."""
    port, other = free_ports(2)
    words = ["ui", "--store", str(store), "--port", str(other), "--image", "*=host", "--no-browser"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tiphys", *words, "--argo", "--argo-port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        yield next(line.strip() for line in process.stdout if line.startswith("http"))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


class Walk:
    """A person before the UI. ``page``: his browser; ``folder``: for pictures, if any."""

    def __init__(self, store: Path, url: str, page: Page, folder: Path | None) -> None:
        self.url, self.page, self.folder = url, page, folder
        self.runs = LocalRuns(RunOptions(store=store))
        self.kubeconfig = store / "server" / "kubeconfig"
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("response", self._heard)

    def _heard(self, response: Response) -> None:
        if response.status >= 400:
            self.errors.append(f"{response.status} {response.url}")

    def create(self, given: object, *words: str) -> str:
        """By the real `argo`."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(given, file)
            file.flush()
            env = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "ARGO_NAMESPACE": "argo"}
            done = subprocess.run(
                ["argo", *words, file.name, "-o", "name"], env=env, check=True, capture_output=True, text=True
            )
        return done.stdout.strip()

    def until(self, what: str, holds: Callable[[], object]) -> None:
        """Wait until something is so, and say that it is."""
        end = time.monotonic() + 60
        while not holds():
            if time.monotonic() > end:
                self.page.screenshot(path=str((self.folder or Path()) / "failed.png"))
                sys.exit(f"it did not happen: {what} (failed.png); {self.errors}")
            self.page.wait_for_timeout(100)
        sys.stdout.write(f"{what}\n")
        sys.stdout.flush()
        if self.folder is not None:
            self.page.screenshot(path=str(self.folder / f"{what.replace(' ', '-')}.png"))

    def phase(self, name: str) -> str:
        return str(self.runs.get("argo", name)["status"]["phase"])

    def open(self, name: str) -> None:
        """The page of a run."""
        self.page.goto(f"{self.url}/workflows/argo/{name}")
        self.page.get_by_role("button", name="LOGS").wait_for()

    def press(self, button: str, *, sure: bool = True) -> None:
        """A button, and then the one that says yes."""
        self.page.get_by_role("button", name=button).first.click()
        if sure:
            self.page.get_by_role("button", name="OK").click()

    def names(self) -> set[str]:
        return {each["metadata"]["name"] for each in self.runs.list("argo", brief=True)}

    def waiting(self) -> str:
        """A run that waits at its gate."""
        name = self.create(FLOW, "submit")

        def waits() -> bool:
            nodes = (self.runs.get("argo", name)["status"].get("nodes") or {}).values()
            return any(each["type"] == "Suspend" and each["phase"] == "Running" for each in nodes)

        self.until("a run waits", waits)
        return name

    def all(self) -> None:
        page, runs = self.page, self.runs
        one, two = self.waiting(), self.waiting()
        page.goto(f"{self.url}/workflows/argo")
        self.until(
            "the list has the runs", lambda: all(page.get_by_text(each).count() for each in (one, two))
        )
        self.open(one)
        self.until(
            "the graph has the steps", lambda: page.locator("svg .node, svg g").get_by_text("gate").count()
        )
        self.press("STOP")
        self.until("STOP stops it", lambda: runs.get("argo", one)["spec"].get("shutdown") == "Stop")
        self.open(two)
        self.press("TERMINATE")
        self.until("TERMINATE ends it", lambda: runs.get("argo", two)["spec"].get("shutdown") == "Terminate")

        three = self.waiting()
        self.open(three)
        self.press("RESUME")
        self.until("RESUME goes on, and its last step fails", lambda: self.phase(three) == "Failed")
        retries = runs.get("argo", three)["status"]["startedAt"]
        page.get_by_role("button", name="RETRY").first.click()
        page.locator(".sliding-panel button", has_text="RETRY").first.click()
        self.until(
            "RETRY runs again", lambda: runs.get("argo", three)["status"].get("startedAt", retries) != retries
        )
        before = self.names()
        self.open(one)
        page.get_by_role("button", name="RESUBMIT").first.click()
        page.locator(".sliding-panel button", has_text="RESUBMIT").first.click()
        self.until("RESUBMIT makes another", lambda: self.names() - before)
        (copy,) = self.names() - before
        slow = self.create(SLOW, "submit")
        self.open(slow)
        self.press("SUSPEND")
        self.until("SUSPEND suspends", lambda: runs.get("argo", slow)["spec"].get("suspend") is True)

        self.open(three)
        page.get_by_role("button", name="LOGS").first.click()
        self.until("LOGS has what a step wrote", lambda: "hello" in page.evaluate("window.said.join()"))
        page.goto(f"{self.url}/workflows/argo/{three}")
        nodes = runs.get("argo", three)["status"]["nodes"].values()
        (node,) = [each["id"] for each in nodes if each["displayName"] == "make"]
        page.goto(f"{self.url}/workflows/argo/{three}?nodeId={node}&nodePanelView=inputs-outputs")
        self.until("a step has its artifacts", lambda: page.locator(".artifact-row a").count())
        page.locator(".artifact-row a").first.click()  # a text is shown
        self.until("an artifact comes", lambda: page.inner_text("body").strip() == "hello")

        self.create(TEMPLATE, "template", "create")
        before = self.names()
        page.goto(f"{self.url}/workflow-templates/argo/greet")
        page.get_by_role("button", name="SUBMIT").first.click()
        page.locator(".sliding-panel button", has_text="SUBMIT").first.click()
        self.until("the form submits", lambda: self.names() - before)
        (made,) = self.names() - before
        self.until("and it succeeds", lambda: self.phase(made) == "Succeeded")
        self.open(copy)
        self.press("DELETE", sure=True)
        self.until("DELETE deletes", lambda: copy not in self.names())
        if self.errors:
            sys.exit(f"the UI had errors: {self.errors}")


def main() -> None:
    """Walk."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=Path, default=None, help="a folder for a picture of each thing")
    options = parser.parse_args()
    if options.pictures is not None:
        options.pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, started(Path(folder) / "store") as url:
        token = (Path(folder) / "store" / "server" / "token").read_text().strip()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            context = browser.new_context(viewport={"width": 1400, "height": 900})
            context.add_cookies([{"name": "authorization", "value": f"Bearer {token}", "url": url}])
            context.add_init_script(KEEP)
            Walk(Path(folder) / "store", url, context.new_page(), options.pictures).all()
            browser.close()


if __name__ == "__main__":
    main()
