"""Pools of teams, and who may use which: ``training.toml``.

[pools.vision]
namespace = "ml-vision"      # on a cluster; its quota is the cluster's
jobs = 4                     # at once; each that is not given is not counted
cpu = "16"
memory = "64Gi"
"nvidia.com/gpu" = 2

[users.anna]
pools = ["vision", "shared"] # the first is the one that she means when she says none
token = "sha256:..."         # of her bearer token: tiphys training-service --new-token

What is owed to whom, and the highest class that somebody may ask for, is said by ``queue.toml`` beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tiphys.argo.paths import label_problem
from tiphys.argo.quantity import whole_quantity
from tiphys.errors import TrainingServiceError, did_you_mean
from tiphys.queue.rules import this_user

__all__ = ["TrainingPool", "TrainingPools", "TrainingRulesFile", "TrainingUser", "new_token", "parse_pools"]

_DEVICE = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_UNITS = {"cpu": "m", "memory": ""}
_MANY = 2**31 - 1


@dataclass(frozen=True, slots=True)
class TrainingPool:
    """``sizes``: what its jobs may have at once: ``jobs``, ``cpu`` in thousandths, ``memory`` in bytes, devices."""

    name: str
    namespace: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrainingUser:
    """``token``: the digest of a bearer token, ``sha256:HEX``."""

    name: str
    pools: tuple[str, ...]
    token: str


@dataclass(frozen=True, slots=True)
class TrainingPools:
    """Pools and users by name. Without users everybody is the user of the operating system, who may use all pools."""

    pools: Mapping[str, TrainingPool]
    users: Mapping[str, TrainingUser] = field(default_factory=dict)

    def who(self, token: str) -> str:
        """Whose token it is. Raises TrainingServiceError TIP801 for one that nobody has."""
        if not self.users:
            return this_user()
        digest, found = digest_of(token), ""
        for name, user in self.users.items():  # all of them: the time says nothing
            if hmac.compare_digest(user.token, digest):
                found = name
        if not found:
            raise TrainingServiceError(
                "TIP801",
                "no token, or one that nobody has" if token else "a token is needed",
                cause="training.toml of the service has a digest of each user's token",
                fix="set TIPHYS_TRAINING_TOKEN, or send the header authorization: Bearer TOKEN",
            )
        return found

    def of(self, user: str) -> list[TrainingPool]:
        """The pools of a user, the one that is meant first."""
        if not self.users:
            return list(self.pools.values())
        known = self.users.get(user)
        return [self.pools[name] for name in known.pools] if known is not None else []

    def pool_for(self, user: str, wanted: str) -> TrainingPool:
        """The pool of that name, or the user's first. Raises TrainingServiceError TIP802 when it is not the user's."""
        own = {pool.name: pool for pool in self.of(user)}
        if not wanted and own:
            return next(iter(own.values()))
        if wanted not in own:
            raise TrainingServiceError(
                "TIP802",
                f"{user} has no pool {wanted!r}.{did_you_mean(wanted, own)}"
                if wanted
                else f"{user} has no pool",
                cause=f"the pools of {user}: {', '.join(own) or 'none'}",
                fix="name one of these, or have training.toml changed",
            )
        return own[wanted]


def digest_of(token: str) -> str:
    """What is kept of a token."""
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


def new_token() -> tuple[str, str]:
    """A token, and its digest."""
    token = secrets.token_urlsafe(32)
    return token, digest_of(token)


def usual() -> TrainingPools:
    """What holds without a file: as many jobs at once as there are cores."""
    cores = len(os.sched_getaffinity(0))
    return TrainingPools({"default": TrainingPool("default", "", {"jobs": cores})})


class TrainingRulesFile:
    """The pools as the file says now, read again when it has changed; while it is wrong, those before."""

    def __init__(self, path: Path) -> None:
        """Raises TrainingServiceError TIP803 for a file that is wrong."""
        self._path = path
        self._stamp = self._stamped()
        self._pools = _load(path)

    def __call__(self) -> TrainingPools:
        stamp = self._stamped()
        if stamp != self._stamp:
            self._stamp = stamp
            with contextlib.suppress(TrainingServiceError):
                self._pools = _load(self._path)
        return self._pools

    def problem(self) -> str:
        """What is wrong with the file as it is; empty when nothing is."""
        try:
            _load(self._path)
        except TrainingServiceError as error:
            return error.message
        return ""

    def _stamped(self) -> tuple[int, int, int] | None:
        try:
            state = self._path.stat()
        except OSError:
            return None
        return state.st_mtime_ns, state.st_size, state.st_ino


def _load(path: Path) -> TrainingPools:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return usual()
    except (OSError, ValueError) as error:
        raise _wrong(path, "", f"it cannot be read: {error}") from None
    return parse_pools(text, path)


def parse_pools(text: str, path: Path) -> TrainingPools:
    """Raises TrainingServiceError TIP803 with the file and the key."""
    try:
        given: dict[str, object] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong(path, "", str(error)) from None
    _known(path, "", given, ("pools", "users"))
    pools = {
        name: _pool(path, name, each) for name, each in _table(path, "pools", given.get("pools")).items()
    }
    if not pools:
        pools = dict(usual().pools)
    users = {
        name: _user(path, name, each, pools)
        for name, each in _table(path, "users", given.get("users")).items()
    }
    tokens = [user.token for user in users.values()]
    for name, user in users.items():
        if tokens.count(user.token) > 1:
            raise _wrong(path, f"users.{name}.token", "another user has the same")
    return TrainingPools(pools, users)


def _pool(path: Path, name: str, value: object) -> TrainingPool:
    key = f"pools.{name}"
    given = _table(path, key, value)
    if label_problem(name):
        raise _wrong(path, key, "a name is at most 63 of a-z, 0-9 and '-'")
    _known(
        path, key, {each: 0 for each in given if not _DEVICE.fullmatch(each)}, ("namespace", "jobs", *_UNITS)
    )
    namespace = given.get("namespace", "")
    if not isinstance(namespace, str) or (namespace and label_problem(namespace)):
        raise _wrong(path, f"{key}.namespace", f"{namespace!r} is no name of a namespace")
    sizes = {}
    for resource, amount in given.items():
        if resource == "namespace":
            continue
        if isinstance(amount, bool) or not isinstance(amount, int | float | str):
            raise _wrong(path, f"{key}.{resource}", f"{str(amount)[:80]} is no amount")
        try:
            sizes[resource] = whole_quantity(amount, _UNITS.get(resource, ""))
        except ValueError as error:
            raise _wrong(path, f"{key}.{resource}", str(error)) from None
    return TrainingPool(name, namespace, sizes)


def _user(path: Path, name: str, value: object, pools: Mapping[str, TrainingPool]) -> TrainingUser:
    key = f"users.{name}"
    given = _table(path, key, value)
    _known(path, key, given, ("pools", "token"))
    own = given.get("pools")
    if not isinstance(own, list) or not own:
        raise _wrong(path, f"{key}.pools", 'write a list of names of pools, ["default"]')
    for each in own:
        if not isinstance(each, str) or each not in pools:
            near = did_you_mean(str(each), pools)
            raise _wrong(path, f"{key}.pools", f"there is no pool {str(each)[:80]!r}.{near}")
    token = given.get("token")
    if not isinstance(token, str) or not _DIGEST.fullmatch(token):
        raise _wrong(
            path, f"{key}.token", "it is sha256: and 64 digits; tiphys training-service --new-token makes one"
        )
    return TrainingUser(name, tuple(own), token)


def _table(path: Path, key: str, value: object) -> Mapping[str, object]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(path, key, f"{str(value)[:80]} is no table")
    return value


def _known(path: Path, key: str, given: Mapping[str, object], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            where = f"{key}.{name}" if key else name
            raise _wrong(path, where, f"nobody knows this key.{did_you_mean(name, known)}")


def _wrong(path: Path, key: str, problem: str) -> TrainingServiceError:
    return TrainingServiceError(
        "TIP803",
        f"{key}: {problem}" if key else problem,
        where=str(path),
        fix="docs/training.md has an example; what was read before stays in force",
    )
