"""Who may see the page. A link that is good once gives a browser a cookie; who may read the token may have such a link.

The cookie is signed with the server's token: it is good as long as the token is, also for a server that is started
again. It is no token: the API does not take it, and a page of the web cannot send it (``SameSite=Strict``).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from tiphys.server.answers import RequestError

__all__ = ["STRANGER", "Doors", "is_page"]

_GOOD = 600.0  # seconds in which a link can be used
_STAYS = 30 * 24 * 3600  # seconds that a browser may stay
STRANGER = "this browser has not been let in"
_OPEN = ("/ui/enter", "/ui/static/")


def is_page(path: str) -> bool:
    """Whether the path is one of the page's; a link to it is had with the token, as everything else."""
    return (path in ("/", "/ui") or path.startswith("/ui/")) and path != "/ui/link"


class Doors:
    """``token``: the server's."""

    def __init__(self, token: str) -> None:
        self._secret = hashlib.sha256(b"page " + token.encode()).digest()
        self._keys: dict[str, tuple[str, float]] = {}
        self._guard = threading.Lock()
        # cookies know no ports: each server has a name of its own
        self.name = f"tiphys-{hashlib.sha256(self._secret).hexdigest()[:8]}"

    def key(self, user: str) -> str:
        """A new key for a user, to be used once, within ten minutes."""
        made, now = secrets.token_urlsafe(32), time.monotonic()
        with self._guard:
            self._keys = {each: kept for each, kept in self._keys.items() if kept[1] > now}
            self._keys[made] = user, now + _GOOD
        return made

    def enter(self, key: str, *, secure: bool) -> str:
        """Use a key up. The header ``Set-Cookie``; empty for a key that is not, or no longer, good."""
        with self._guard:
            user, until = self._keys.pop(key, ("", 0.0))
        if until <= time.monotonic():
            return ""
        value = self._signed(f"{user}.{secrets.token_hex(8)}.{int(time.time()) + _STAYS}")
        more = "; Secure" if secure else ""
        return f"{self.name}={value}; Path=/ui; Max-Age={_STAYS}; HttpOnly; SameSite=Strict{more}"

    def check(self, method: str, path: str, headers: Mapping[str, str]) -> str:
        """Whose browser it is; empty where all may look. Raises RequestError: 401 without the cookie, 403 for a change
        that does not come from a page of ours."""
        if method not in ("GET", "HEAD") and headers.get("origin", "").partition("://")[2] != headers["host"]:
            raise RequestError(403, "only a page of this server may ask for that")
        if path == "/" or path.startswith(_OPEN):
            return ""
        if not (user := self._known(headers.get("cookie", ""))):
            raise RequestError(401, STRANGER)
        return user

    def _signed(self, text: str) -> str:
        return f"{text}.{hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()}"

    def _known(self, header: str) -> str:
        try:
            found = SimpleCookie(header).get(self.name)
        except CookieError:
            return ""
        text = found.value.rpartition(".")[0] if found is not None else ""
        if found is None or not hmac.compare_digest(self._signed(text).encode(), found.value.encode()):
            return ""
        user, _, rest = text.partition(".")
        return user if int(rest.rpartition(".")[2]) > time.time() else ""
