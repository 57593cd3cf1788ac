"""Take a picture of a workflow in the Argo UI, with a headless Chromium.

    python docs/argo_ui.py http://localhost:2746 NAMESPACE NAME docs/argo-ui.png

Needs `chromium` (Debian: apt-get install chromium) and nothing else: the browser is driven over a pipe. The Argo
Server must have its UI in it, as the released images have; a server built from the Go module alone, as that of the
throw-away cluster, has none, so no test takes this picture. docs/argo-ui.png is of Argo 4.1.2.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 1300, 900
SECONDS = 60

# The number of nodes drawn and how far down they reach; the welcome dialogues of a first visit are closed on the way.
DRAWN = """(() => {
  document.querySelectorAll('.modal-close, [aria-label=Close]').forEach(x => x.click());
  const high = x => getComputedStyle(x).zIndex > 100 && x.offsetWidth > 700;
  [...document.querySelectorAll('div')].filter(high).forEach(x => x.remove());
  const nodes = [...document.querySelectorAll('svg .node, svg .graph .nodes > *')];
  return [nodes.length, Math.max(0, ...nodes.map(x => x.getBoundingClientRect().bottom))];
})()"""


class Browser:
    """A headless Chromium and the DevTools protocol: messages of JSON, each ended by a zero byte, over two pipes."""

    def __init__(self, program: str, profile: str) -> None:
        hear, self._speak = os.pipe()
        self._hear, speak = os.pipe()

        def pipes() -> (
            None
        ):  # Chromium reads from 3 and writes to 4; 10 and 11, so that nothing is overwritten
            os.dup2(hear, 10)
            os.dup2(speak, 11)
            os.dup2(10, 3)
            os.dup2(11, 4)

        self.process = subprocess.Popen(
            [
                program,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--hide-scrollbars",
                "--remote-debugging-pipe",
                f"--user-data-dir={profile}",
                f"--window-size={WIDTH},{HEIGHT}",
            ],
            preexec_fn=pipes,
            close_fds=False,
            stderr=subprocess.DEVNULL,
        )
        os.close(hear)
        os.close(speak)
        self._number = 0
        self._rest = b""

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result. Events that come in between are not needed here."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._speak, data) :]
        while True:
            while b"\0" not in self._rest:
                chunk = os.read(self._hear, 1 << 20)
                if not chunk:
                    raise RuntimeError("chromium ended")
                self._rest += chunk
            line, _, self._rest = self._rest.partition(b"\0")
            answer = json.loads(line)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def picture(server: str, namespace: str, name: str, out: Path) -> None:
    """Write a PNG of the workflow's page. Raises RuntimeError when there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise RuntimeError("chromium is not installed: apt-get install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        try:
            target = browser.call("Target.createTarget", url="about:blank")["targetId"]
            page = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            url = f"{server.rstrip('/')}/workflows/{namespace}/{name}?tab=workflow"
            browser.call("Page.navigate", page, url=url)
            before, end = (0, 0.0), time.monotonic() + SECONDS
            while True:  # until what is drawn stays the same
                answer = browser.call("Runtime.evaluate", page, expression=DRAWN, returnByValue=True)
                count, bottom = answer["result"].get("value") or (0, 0.0)
                if count and (count, bottom) == before:
                    break
                if time.monotonic() > end:
                    raise RuntimeError(f"{url} drew no graph within {SECONDS} s")
                before = (count, bottom)
                time.sleep(2)
            size = {
                "width": WIDTH,
                "height": max(HEIGHT, int(bottom) + 40),
                "deviceScaleFactor": 1,
                "mobile": False,
            }
            browser.call("Emulation.setDeviceMetricsOverride", page, **size)
            time.sleep(2)  # the page draws itself anew
            shot = browser.call("Page.captureScreenshot", page, format="png")
        finally:
            browser.close()
    out.write_bytes(base64.b64decode(shot["data"]))


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    picture(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
