"""How the engine itself asks the pods of a run over HTTP: in their network, where that is not this machine's."""

from __future__ import annotations

import socket
import ssl
import urllib.request
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tiphys.engine.runners.network import Network

if TYPE_CHECKING:
    import requests

__all__ = ["InsideHandler", "session"]


def _connected(network: Network, host: str, port: int, timeout: object) -> socket.socket:
    """What is about to be asked, in the network of the pods. Raises OSError."""
    return network.connect(host, port, timeout if isinstance(timeout, int | float) else None)


class InsideHandler(urllib.request.AbstractHTTPHandler):
    """What is asked of a loopback is asked of the run's own, and of no proxy; what is not, the others do."""

    handler_order = 50  # before that of proxies

    def __init__(self, network: Network, context: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self._network = network
        self._context = context

    def http_open(self, request: urllib.request.Request) -> HTTPResponse | None:
        network = self._network

        class Connection(HTTPConnection):
            def connect(self) -> None:
                self.sock = _connected(network, self.host, self.port, self.timeout)

        return self.do_open(Connection, request) if self._asked(request) else None

    def https_open(self, request: urllib.request.Request) -> HTTPResponse | None:
        network, context = self._network, self._context

        class Connection(HTTPSConnection):
            def connect(self) -> None:
                plain = _connected(network, self.host, self.port, self.timeout)
                verified = context or ssl.create_default_context()
                self.sock = verified.wrap_socket(plain, server_hostname=self.host)

        return self.do_open(Connection, request) if self._asked(request) else None

    def _asked(self, request: urllib.request.Request) -> bool:
        return self._network.has(urlsplit(f"//{request.host}").hostname or "")


def session(network: Network) -> requests.Session:
    """A session of requests that reaches the same pods."""
    import requests  # 0.15 s that most runs do not need

    if not network.own:
        return requests.Session()
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.connection import HTTPConnection as Plain
    from urllib3.connection import HTTPSConnection as Secure
    from urllib3.exceptions import NewConnectionError

    def connected(connection: Plain) -> socket.socket:
        port = connection.port or connection.default_port
        try:
            return _connected(network, connection.host, port, connection.timeout)
        except OSError as error:
            raise NewConnectionError(connection, f"Failed to establish a new connection: {error}") from error

    class PlainInside(Plain):
        def _new_conn(self) -> socket.socket:
            return connected(self)

    class SecureInside(Secure):
        def _new_conn(self) -> socket.socket:
            return connected(self)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = PlainInside

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureInside

    class Inside(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *given: Any, **named: Any) -> None:
            super().init_poolmanager(*given, **named)
            self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

        def send(self, request: requests.PreparedRequest, *given: Any, **named: Any) -> requests.Response:
            named["proxies"] = {}
            return super().send(request, *given, **named)

    class Session(requests.Session):
        def get_adapter(self, url: str | bytes) -> requests.adapters.BaseAdapter:
            text = url if isinstance(url, str) else url.decode()
            return inside if network.has(urlsplit(text).hostname or "") else super().get_adapter(text)

    inside = Inside()
    return Session()
