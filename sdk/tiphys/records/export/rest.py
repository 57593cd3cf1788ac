"""Calls of a REST API that answers in JSON, as MLflow's does: tried again where that may help, one error where not.

A call that is `once` is not repeated when nobody can say whether the server did it: :class:`Unsure` is raised, and the
caller looks.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tiphys.errors import RefusedError, StoreError
from tiphys.jsontypes import JsonObject

if TYPE_CHECKING:
    import requests

__all__ = ["Rest", "Unsure"]

TRIES = 6
_AGAIN = frozenset([429, 500, 502, 503, 504])
_LONGEST_PAUSE = 30.0  # seconds


class Unsure(Exception):
    """The server may have done what it was asked, or not."""


class Rest:
    """The API below ``uri``. Raises RefusedError (TIP289) for what is no address.

    ``token`` is sent as a bearer's; a user and a password may be part of the address. ``sleep`` and ``tries`` are for
    tests.
    """

    def __init__(
        self,
        uri: str,
        *,
        token: str = "",
        timeout: float = 60.0,
        tries: int = TRIES,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        try:
            parts = urlsplit(uri)
            right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            right = False
        if not right or not token.isascii() or not token.isprintable():
            raise RefusedError(
                "TIP289",
                f"{uri!r} is not the address of a server"
                if not right
                else "the token is not printable ASCII",
                fix="write --uri http://host:port" if not right else "look at the variable of --token-env",
            )
        import requests

        self.uri = uri.rstrip("/")
        self._session = requests.Session()
        self._timeout, self._tries, self._sleep = timeout, tries, sleep
        self._answered = False
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"
            self._session.trust_env = False  # a .netrc would win over the token
            self._session.proxies = requests.utils.get_environ_proxies(self.uri)

    def close(self) -> None:
        self._session.close()

    def get(self, path: str, allowed: Collection[str] = (), **query: str | int) -> JsonObject:
        """The answer to a GET; one with an ``error_code`` only if that is ``allowed``."""
        return self._call("GET", path, query=query, allowed=allowed)

    def post(
        self, path: str, body: Mapping[str, object], *, allowed: Collection[str] = (), once: bool = False
    ) -> JsonObject:
        """The answer to a POST, likewise. Raises Unsure if it is to be done ``once`` and may have been."""
        data = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        return self._call("POST", path, data=data, allowed=allowed, once=once)

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        data: bytes | None = None,
        allowed: Collection[str] = (),
        once: bool = False,
    ) -> JsonObject:
        import requests

        url, why = f"{self.uri}/{path}", ""
        for turn in range(self._tries):
            pause = min(0.25 * 2**turn * random.uniform(0.75, 1.25), _LONGEST_PAUSE)
            try:
                answer = self._session.request(
                    method,
                    url,
                    params=query,
                    data=data,
                    headers={"Content-Type": "application/json"} if data is not None else None,
                    timeout=(10.0, self._timeout),
                    allow_redirects=False,
                )
            except requests.exceptions.ConnectTimeout as error:
                why = _short(error)
            except requests.exceptions.SSLError as error:
                raise self._lost(f"the TLS of the server is not trusted: {_short(error)}") from error
            except requests.exceptions.RequestException as error:
                why = _short(error)
                if not self._answered and isinstance(error, requests.exceptions.ConnectionError):
                    break  # more likely a wrong address than a server that is about to come back
                if once and "refused" not in why:
                    raise Unsure(why) from error
            else:
                self._answered = True
                if answer.status_code not in _AGAIN:
                    return self._read(answer, allowed)
                why = f"HTTP {answer.status_code}: {_message(answer)}"
                if once and answer.status_code not in (429, 503):
                    raise Unsure(why)
                pause = max(pause, _asked(answer))
            if turn + 1 < self._tries:
                self._sleep(pause)
        raise self._lost(why)

    def _read(self, answer: requests.Response, allowed: Collection[str]) -> JsonObject:
        status = answer.status_code
        try:
            value = json.loads(answer.text or "{}")
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict) and (status == 200 or value.get("error_code") in allowed):
            return value
        if status == 200 or status < 400 or (status == 404 and value is None):
            raise StoreError(
                "TIP435",
                f"{self.uri} does not answer as an MLflow server does",
                where=answer.url,
                cause=f"HTTP {status}: {_message(answer)}",
                fix="check the address of --uri: it is that of the server's page",
            )
        raise StoreError(
            "TIP435",
            f"{self.uri} refuses {_REFUSALS.get(status, 'what is exported')}",
            where=answer.url,
            cause=f"HTTP {status}: {_message(answer)}",
            fix=_FIXES.get(status, "read the server's message; its log may say more"),
        )

    def _lost(self, why: str) -> StoreError:
        return StoreError(
            "TIP434",
            f"{self.uri} cannot be reached, or fails",
            cause=why,
            fix="check --uri and that the server runs; then export again: what is there already is not sent twice",
        )


_REFUSALS = {401: "the log-in", 403: "access"}
_FIXES = {
    401: "name a variable that holds a token with --token-env, or write http://user:password@host",
    403: "ask for the right to write there; a server that does not know its own host name is started with "
    "--allowed-hosts",
}


def _short(error: Exception) -> str:
    text = str(error)
    for words, meaning in (
        ("refused", "the connection was refused: nothing listens there"),
        ("Name or service not known", "the host name is not known"),
        ("name resolution", "the host name is not known"),
        ("timed out", "no answer in time"),
    ):
        if words in text:
            return meaning
    return text[:300]


def _message(answer: requests.Response) -> str:
    """What the server says, in a line."""
    try:
        value = json.loads(answer.text)
        text = f"{value.get('error_code', '')} {value.get('message', '')}".strip()
    except (ValueError, RecursionError, AttributeError):
        text = answer.text
    return " ".join(text.split())[:500]


def _asked(answer: requests.Response) -> float:
    """The pause in seconds that the server asks for."""
    text = answer.headers.get("Retry-After", "")
    return min(float(text), _LONGEST_PAUSE) if text.isdecimal() and text.isascii() else 0.0
