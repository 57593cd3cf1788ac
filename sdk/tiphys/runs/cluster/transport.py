"""How requests reach a cluster: one small protocol, a real transport over HTTP/1.1, and a public fake for
tests.

The real one stands on ``requests``, which Hera brings along. Hera's own REST client is not used: it keeps no
streams open, so neither ``watch`` nor ``logs`` could follow events with it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, cast
from urllib.parse import urlencode

from tiphys.errors import ClusterError
from tiphys.runs.cluster.errors import unreachable

__all__ = ["FakeTransport", "HttpTransport", "Request", "Response", "Stream", "Transport"]


@dataclass(frozen=True)
class Request:
    """One request: ``path`` starts with ``/`` and holds no query; ``timeout`` is in seconds, None waits
    forever."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    content_type: str = "application/json"
    timeout: float | None = 30.0

    @property
    def target(self) -> str:
        """Path and query, as in a request line."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


@dataclass(frozen=True)
class Response:
    """A whole answer."""

    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: object, status: int = 200) -> Response:
        """A JSON answer, for a fake."""
        return cls(status, json.dumps(value), {"content-type": "application/json"})

    def json(self) -> Any:
        """The body as JSON. Raises ClusterError TIP604 for something else (a log-in page, for example)."""
        try:
            return json.loads(self.text)
        except ValueError as error:
            raise ClusterError(
                "TIP604",
                "the answer is not JSON",
                cause=f"HTTP {self.status}: {self.text[:120]!r}",
                fix="the address must be the Argo Server's or the Kubernetes API's, not a log-in page",
            ) from error


class Stream:
    """An answer that is read line by line while it arrives; close it, or use it in a ``with``."""

    def __init__(
        self, status: int, lines: Iterable[str], close: Callable[[], None] = lambda: None, text: str = ""
    ) -> None:
        self.status = status
        self.text = text
        self._lines = lines
        self._close = close

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def close(self) -> None:
        self._close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Transport(Protocol):
    """What a backend needs. Connection trouble is a ClusterError; any HTTP status is a normal answer."""

    @property
    def url(self) -> str:
        """Where this leads, for messages."""

    def send(self, request: Request) -> Response:
        """Send and return the whole answer."""

    def stream(self, request: Request) -> Stream:
        """Send and return the answer's lines as they come. ``timeout`` bounds the silence between two lines;
        silence that long ends the lines as the end of the answer does."""

    def close(self) -> None:
        """Give connections back."""


class HttpTransport:
    """HTTP/1.1 to one base URL.

    ``verify`` is True, False, or the path of a CA bundle; ``certificate`` the paths of a client certificate
    and its key; ``token`` is called for each request, so that a token that expires can be renewed.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Callable[[], str] | None = None,
        verify: bool | str = True,
        certificate: tuple[str, str] | None = None,
        proxies: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        import requests
        import urllib3

        self._url = url.rstrip("/")
        self._token = token
        self._session = requests.Session()
        # no retries here: the callers know which requests may be repeated; pooled connections for the log
        # streams
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=64, max_retries=0)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        self._session.headers.update(headers or {})
        # Given to each request: for a session's own `verify`, REQUESTS_CA_BUNDLE would win over what the
        # user asked
        self._verify = verify
        self._session.cert = certificate
        if proxies is not None:
            self._session.proxies.update(proxies)
        if verify is False:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    @property
    def url(self) -> str:
        return self._url

    def _open(self, request: Request, *, stream: bool) -> Any:
        import requests

        headers = {"Accept": "application/json"}
        if self._token is not None and (token := self._token()):
            headers["Authorization"] = token
        data = None
        if request.body is not None:
            headers["Content-Type"] = request.content_type
            data = json.dumps(request.body).encode()
        try:
            return self._session.request(
                request.method,
                self._url + request.target,
                data=data,
                headers=headers,
                timeout=(10.0, request.timeout),
                stream=stream,
                verify=self._verify,
                allow_redirects=False,
            )
        except requests.exceptions.RequestException as error:
            raise unreachable(self._url, error) from error

    def send(self, request: Request) -> Response:
        answer = self._open(request, stream=False)
        return Response(answer.status_code, answer.text, {k.lower(): v for k, v in answer.headers.items()})

    def stream(self, request: Request) -> Stream:
        try:
            answer = self._open(request, stream=True)
        except ClusterError as error:
            if isinstance(error.__cause__, _silence()):
                return Stream(
                    200, ()
                )  # the Argo Server sends nothing at all, no head either, before the first event
            raise
        if answer.status_code >= 300:
            text = answer.text
            answer.close()
            return Stream(answer.status_code, (), text=text)
        return Stream(answer.status_code, _lines(answer), answer.close)

    def close(self) -> None:
        self._session.close()


def _silence() -> type[Exception]:
    """What is raised when a connection stands and no answer comes in time."""
    import requests

    found: type[Exception] = requests.exceptions.ReadTimeout
    return found


def _lines(answer: Any) -> Iterator[str]:
    """The lines of an answer. A connection that breaks or falls silent ends them: the reader reconnects."""
    import requests
    import urllib3

    broken = (
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        AttributeError,  # closed by another thread while this one reads
        ValueError,
        OSError,
    )
    rest = b""
    with contextlib.suppress(*broken):
        # read1: hand on what has arrived, do not wait for a full buffer
        while chunk := cast(bytes, answer.raw.read1(65536, decode_content=True)):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield line.decode(errors="replace")
        if rest:  # the last line has no end; where the connection broke, it is half a line and read again
            yield rest.decode(errors="replace")


class FakeTransport:
    """A cluster made of a function, for tests: ``handler(request)`` gives a Response, a Stream, or lines to
    stream.

    >>> from tiphys.runs import Client, FakeTransport, Response
    >>> def handler(request):
    ...     return Response.of({"items": []})
    >>> Client.argo_server(transport=FakeTransport(handler)).list()
    []

    ``requests`` keeps every request in order.
    """

    def __init__(
        self, handler: Callable[[Request], Response | Stream | Iterable[str]], url: str = "http://fake"
    ) -> None:
        self._handler = handler
        self._url = url
        self.requests: list[Request] = []

    @property
    def url(self) -> str:
        return self._url

    def send(self, request: Request) -> Response:
        self.requests.append(request)
        answer = self._handler(request)
        if isinstance(answer, Response):
            return answer
        status = answer.status if isinstance(answer, Stream) else 200
        return Response(status, "\n".join(answer))

    def stream(self, request: Request) -> Stream:
        self.requests.append(request)
        answer = self._handler(request)
        if isinstance(answer, Stream):
            return answer
        if isinstance(answer, Response):
            if answer.status >= 300:
                return Stream(answer.status, (), text=answer.text)
            return Stream(answer.status, answer.text.splitlines())
        return Stream(200, answer)

    def close(self) -> None:
        pass
