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

import hashlib
import hmac
import os
import re
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tiphys.argo.paths import label_problem
from tiphys.errors import TrainingServiceError, did_you_mean
from tiphys.queue.rules import this_user
from tiphys.queue.rules_file import Reread, RulesTables, shown

__all__ = [
    "TrainingPool",
    "TrainingPools",
    "TrainingRulesFile",
    "TrainingUser",
    "digest_of",
    "is_digest",
    "new_token",
    "parse_pools",
]

_DEVICE = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


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


def is_digest(text: str) -> bool:
    """Whether a text is what :func:`digest_of` makes."""
    return _DIGEST.fullmatch(text) is not None


def new_token() -> tuple[str, str]:
    """A token, and its digest."""
    token = secrets.token_urlsafe(32)
    return token, digest_of(token)


def usual() -> TrainingPools:
    """What holds without a file: as many jobs at once as there are cores."""
    cores = len(os.sched_getaffinity(0))
    return TrainingPools({"default": TrainingPool("default", "", {"jobs": cores})})


class TrainingRulesFile(Reread[TrainingPools]):
    """The pools as the file says now; while it is wrong, those before."""

    def __init__(self, path: Path) -> None:
        """Raises TrainingServiceError TIP803 for a file that is wrong."""
        super().__init__(path, _load, _load(path))


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
    file = _File(partial(_wrong, path))
    file.keys(given, "", ("pools", "users"))
    pools = {name: file.pool(name, each) for name, each in file.table(given, "pools").items()}
    if not pools:
        pools = dict(usual().pools)
    users = {name: file.user(name, each, pools) for name, each in file.table(given, "users").items()}
    tokens = [user.token for user in users.values()]
    for name, user in users.items():
        if tokens.count(user.token) > 1:
            raise file.wrong(f"users.{name}.token", "another user has the same")
    return TrainingPools(pools, users)


class _File(RulesTables):
    def pool(self, name: str, value: object) -> TrainingPool:
        key = f"pools.{name}"
        given = self.mapping(value, key)
        if label_problem(name):
            raise self.wrong(key, "a name is at most 63 of a-z, 0-9 and '-'")
        others = {each: 0 for each in given if not _DEVICE.fullmatch(each)}
        self.keys(others, key, ("namespace", "jobs", "cpu", "memory"))
        namespace = given.get("namespace", "")
        if not isinstance(namespace, str) or (namespace and label_problem(namespace)):
            raise self.wrong(f"{key}.namespace", f"{shown(namespace)} is no name of a namespace")
        sizes = {
            resource: self.amount(amount, f"{key}.{resource}", resource)
            for resource, amount in given.items()
            if resource != "namespace"
        }
        return TrainingPool(name, namespace, sizes)

    def user(self, name: str, value: object, pools: Mapping[str, TrainingPool]) -> TrainingUser:
        key = f"users.{name}"
        given = self.mapping(value, key)
        self.keys(given, key, ("pools", "token"))
        own = given.get("pools")
        if not isinstance(own, list) or not own:
            raise self.wrong(f"{key}.pools", 'write a list of names of pools, ["default"]')
        for each in own:
            if not isinstance(each, str) or each not in pools:
                near = did_you_mean(str(each), pools)
                raise self.wrong(f"{key}.pools", f"there is no pool {shown(each)}.{near}")
        token = given.get("token")
        if not isinstance(token, str) or not is_digest(token):  # which is not shown: it may be a token
            raise self.wrong(
                f"{key}.token", "it is sha256: and 64 digits; tiphys training-service --new-token makes one"
            )
        return TrainingUser(name, tuple(own), token)


def _wrong(path: Path, key: str, problem: str, fix: str = "") -> TrainingServiceError:
    return TrainingServiceError(
        "TIP803",
        f"{key}: {problem}" if key else problem,
        where=str(path),
        fix=fix or "docs/training.md has an example; what was read before stays in force",
    )
