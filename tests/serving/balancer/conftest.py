"""Replicas that tell what they were asked."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest


class Echo:
    """Tells what it was asked. ``breaks``: it ends the connection instead, so many times; ``gate``: it waits for it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.breaks = 0
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = threading.Event()
        echo = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(200, b"{}")

            def do_POST(self) -> None:
                body = self._body()
                echo.asked.append(self.path)
                if echo.breaks:
                    echo.breaks -= 1
                    self.close_connection = True
                    return
                echo.waiting.set()
                assert echo.gate.wait(30)
                told = {
                    "at": echo.address,
                    "path": self.path,
                    "size": len(body),
                    "for": self.headers["X-Forwarded-For"],
                }
                self._answer(echo.status, json.dumps(told).encode())

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                parts = []
                while size := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                pass  # whoever asked has ended

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def echoes() -> Iterator[list[Echo]]:
    with ExitStack() as stack:
        made = [Echo() for _ in range(3)]
        for each in made:
            stack.callback(each.stop)
        yield made
