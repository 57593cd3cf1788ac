"""Who may ask a server that several share, and for what: users with roles, in ``users.toml`` of its folder.

::

    [users.ada]
    role = "submits"
    token = "sha256:…"        # tiphys server --new-token makes one

Without the file there is one user, ``owner``, who has the server's own token; with it he is there, too.
"""

from __future__ import annotations

import hmac
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tiphys.argo.paths import label_problem
from tiphys.errors import RefusedError, did_you_mean
from tiphys.queue.rules_file import Reread, RulesTables, shown
from tiphys.training.pools import digest_of, is_digest

__all__ = ["OWNER", "ROLES", "ServerUser", "ServerUsers", "needed"]

ROLES = ("reads", "submits", "administers")
"""What a user may do, each with what stands before it: see all there is; create runs, and change and delete them;
change templates and CronWorkflows, which run without him."""

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_RUNS = (
    ("apis", "argoproj.io", "v1alpha1", "namespaces", "*", "workflows"),
    ("api", "v1", "namespaces", "*", "pods"),
    ("api", "v1", "workflows"),
    ("api", "v1", "archived-workflows"),
    ("api", "v1", "events"),
    ("upload-artifacts",),
    ("ui", "submit"),
    ("ui", "runs", "*", "do"),
)
_HARMLESS = (_REVIEWS, "/api/v1/tracking/event", "/ui/link")


@dataclass(frozen=True, slots=True)
class ServerUser:
    """``role``: one of :data:`ROLES`."""

    name: str
    role: str

    def may(self, role: str) -> bool:
        """Whether what needs a role is his to do."""
        return ROLES.index(self.role) >= ROLES.index(role)


OWNER = ServerUser("owner", "administers")


def needed(method: str, path: str) -> str:
    """The role that a request needs."""
    if method in ("GET", "HEAD", "OPTIONS") or path in _HARMLESS or path.endswith(("/lint", "/models/think")):
        return "reads"
    parts = path.strip("/").split("/")
    for known in _RUNS:
        if len(parts) >= len(known) and all(
            one in ("*", two) for one, two in zip(known, parts, strict=False)
        ):
            return "submits"
    return "administers"


class ServerUsers:
    """``token``: the owner's. ``path``: the file, which is read again when it has changed; while it is wrong, what it
    said before holds.

    Raises
    ------
    RefusedError
        TIP252: the file is wrong.
    """

    def __init__(self, token: str, path: Path | None = None) -> None:
        self.token = token
        known = _load(path) if path is not None else {}
        self._file = Reread(path, _load, known) if path is not None else None

    def who(self, token: str) -> ServerUser | None:
        """Whose token it is."""
        found = OWNER if hmac.compare_digest(token.encode(), self.token.encode()) else None
        digest = digest_of(token)
        for each, user in self._known().items():  # all of them: the time says nothing
            if hmac.compare_digest(each, digest):
                found = user
        return found

    def _known(self) -> Mapping[str, ServerUser]:
        return self._file() if self._file is not None else {}

    def named(self, name: str) -> ServerUser | None:
        """A user, as the file says now."""
        if name == OWNER.name:
            return OWNER
        return next((user for user in self._known().values() if user.name == name), None)


def _load(path: Path) -> Mapping[str, ServerUser]:
    """The users by the digests of their tokens."""
    wrong = partial(_wrong, path)
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise wrong("", str(error), "") from None
    tables = RulesTables(wrong)
    tables.keys(given, "", ("users",))
    found: dict[str, ServerUser] = {}
    for name, value in tables.table(given, "users").items():
        key = f"users.{name}"
        if name == OWNER.name or label_problem(name):
            raise tables.wrong(key, "a name is at most 63 of a-z, 0-9 and '-', and not owner")
        user = tables.mapping(value, key)
        tables.keys(user, key, ("role", "token"))
        role, token = user.get("role"), user.get("token")
        if role not in ROLES:
            near = did_you_mean(role, ROLES) if isinstance(role, str) else ""
            raise tables.wrong(
                f"{key}.role", f"{shown(role)} is no role.{near}", f"one of {', '.join(ROLES)}"
            )
        if not isinstance(token, str) or not is_digest(token):  # which is not shown: it may be a token
            raise tables.wrong(
                f"{key}.token", "it is sha256: and 64 digits", "tiphys server --new-token makes one"
            )
        if token in found:
            raise tables.wrong(f"{key}.token", "another user has the same")
        found[token] = ServerUser(name, str(role))
    return found


def _wrong(path: Path, key: str, problem: str, fix: str) -> RefusedError:
    return RefusedError(
        "TIP252",
        f"{key}: {problem}" if key else problem,
        where=str(path),
        fix=fix or "docs/server.md has an example; what was read before stays in force",
    )
