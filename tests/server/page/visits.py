"""The page of a store on a port of this process, and who visits it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import requests
import uvicorn

from tiphys.engine.base.options import RunOptions
from tiphys.server.access import Access
from tiphys.server.app import application
from tiphys.server.desk import Desk
from tiphys.server.users import ServerUsers

TOKEN = "secret"


class Visitor(requests.Session):
    """A browser without a script. ``desk`` is what the server has."""

    def __init__(self, base: str, desk: Desk) -> None:
        super().__init__()
        self.base, self.desk = base, desk

    def request(self, method: str, url: str, *words: object, **more: object) -> requests.Response:  # type: ignore[override]
        return super().request(method, self.base + url, *words, **{"timeout": 30, **more})  # type: ignore[arg-type]

    def link(self) -> str:
        """A new link, as `tiphys ui` asks for it."""
        answer = requests.post(
            f"{self.base}/ui/link", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30
        )
        return str(answer.json()["path"])

    def fill(self, path: str, **fields: str) -> requests.Response:
        """A form of the page."""
        return self.post(path, data=fields, headers={"Origin": self.base})


@contextlib.contextmanager
def visitor(store: Path, *, entered: bool = True) -> Iterator[Visitor]:
    desk = Desk(RunOptions(store=store, images={"*": "host"}))
    desk.board.start()
    app = application(desk, Access(ServerUsers(TOKEN)))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with Visitor(f"http://127.0.0.1:{port}", desk) as client:
            if entered:
                client.get(client.link())
            yield client
    finally:
        server.should_exit = True
        thread.join(10)
        desk.board.close()
