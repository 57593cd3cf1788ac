"""What both ways to a cluster are made of: one request, and a ClusterError for an answer that is a refusal."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import Any

from tiphys.runs.cluster.errors import from_answer
from tiphys.runs.cluster.transport import Request, Response, Stream, Transport

__all__ = ["Caller"]


class Caller:
    """Requests through ``transport``. ``what`` is the attempt in words, for the error: "submit", "logs of x"."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    @property
    def url(self) -> str:
        return self.transport.url

    def close(self) -> None:
        self.transport.close()

    def send(self, what: str, request: Request, *, allowed: Collection[int] = ()) -> Response:
        """The whole answer, of a status below 300 or one of ``allowed``."""
        answer = self.transport.send(request)
        if answer.status >= 300 and answer.status not in allowed:
            raise from_answer(answer.status, answer.text, what, self.url)
        return answer

    def json(self, what: str, request: Request) -> Any:
        """The answer as JSON, ``{}`` for an empty one."""
        answer = self.send(what, request)
        return answer.json() if answer.text else {}

    @contextlib.contextmanager
    def stream(self, what: str, request: Request, *, allowed: Collection[int] = ()) -> Iterator[Stream]:
        """The answer line by line, for the length of a ``with``."""
        with self.transport.stream(request) as stream:
            if stream.status >= 300 and stream.status not in allowed:
                raise from_answer(stream.status, stream.text, what, self.url)
            yield stream
