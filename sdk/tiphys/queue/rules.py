"""Users, groups and sizes of pools: ``queue.toml`` in the store.

[pools]
training = 8                 # permits; `tiphys queue set` comes before it

[groups]
vision = 3                   # weight

[users.anna]
group = "vision"
weight = 2                   # inside the group
highest = 10                 # the highest class (`priority`) that she may ask for
account = "anna@example.org" # who she is to Kubernetes; without it the same name
namespace = "ml-anna"        # where she works on the cluster; without it the cluster's

[others]
highest = 0                  # of those who are not named

[elastic]
settled = 300                # seconds between two beginnings of a training that grows

[cluster]                    # what `tiphys queue compile` shares out; nothing on this machine
namespace = "ml"
cohort = "ml"
cpu = "64"
memory = "256Gi"
"nvidia.com/gpu" = 8

[classes]                    # names of priorities on the cluster
urgent = 10
"""

from __future__ import annotations

import functools
import os
import pwd
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from tiphys.argo.paths import label_problem
from tiphys.errors import RefusedError, did_you_mean
from tiphys.frozen import frozen
from tiphys.lazy import regex
from tiphys.queue.core import SETTLED
from tiphys.queue.rules_file import Reread, RulesTables, shown
from tiphys.queue.shares import Shares

__all__ = ["Cluster", "Member", "Rules", "RulesFile", "load_rules", "parse_rules", "this_user", "wrong"]

_RESOURCE = regex(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)\Z")
_AMOUNTS = ("cpu", "memory", "ephemeral-storage")  # what is not here comes in whole devices
_ENOUGH = 'write what all have together, for example cpu = "64"'


def this_user() -> str:
    """The user of the operating system that this process belongs to: the name, or the number of one without."""
    return _user(os.geteuid())


@functools.cache
def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


@frozen
class Member:
    """Without a ``group`` one is a group of his own, of weight 1. ``weight``: inside the group. ``highest``: the
    highest class that may be asked for; None: any. On a cluster: the ``account`` that Kubernetes knows him by, and
    his ``namespace``, where they are not his name and the cluster's."""

    group: str = ""
    weight: float = 1.0
    highest: int | None = None
    account: str = ""
    namespace: str = ""


@frozen
class Cluster:
    """What a cluster has for all. ``resources``: thousandths of ``cpu``, bytes of memory and storage, devices."""

    namespace: str
    cohort: str
    resources: Mapping[str, int]


@frozen
class Rules:
    """Sizes of pools, weights of groups, users by name, and all ``others``. ``settled``: seconds between two beginnings
    of a training that grows. The cluster, and its classes by name."""

    pools: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, float] = field(default_factory=dict)
    users: Mapping[str, Member] = field(default_factory=dict)
    others: Member = Member()
    settled: float = SETTLED
    cluster: Cluster | None = None
    classes: Mapping[str, int] = field(default_factory=dict)

    def shares(self, used: Mapping[str, float], at: float) -> Shares:
        """With what was used until ``at``."""
        users = {name: (each.group, each.weight) for name, each in self.users.items() if each.group}
        return Shares(self.groups, users, used, at)

    def check_class(self, user: str, priority: int) -> None:
        """Raises RefusedError (TIP287) for a class above the user's highest."""
        highest = self.users.get(user, self.others).highest
        if highest is not None and priority > highest:
            raise RefusedError(
                "TIP287",
                f"the priority {priority} is above the highest that {user} may ask for, {highest}",
                cause="queue.toml in the store says who may ask for what",
                fix=f"ask for at most {highest}, or have the highest of users.{user} raised",
            )


class RulesFile(Reread[Rules]):
    """The rules as they are in the file now; while it is wrong, those before."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, load_rules, Rules())


def load_rules(path: Path, *, needed: bool = False) -> Rules:
    """The rules of a file; without one, none, unless it is ``needed``. Raises RefusedError (TIP286) with the file and
    the key."""
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:  # what a store may be is for others to tell
        if needed:
            raise _unreadable(error, path) from None
        return Rules()
    except (OSError, ValueError) as error:
        raise _unreadable(error, path) from None
    return parse_rules(text, path)


def parse_rules(text: str, path: Path) -> Rules:
    """The rules that a text says. Raises RefusedError as :func:`load_rules`."""
    import tomllib  # few stores have rules

    try:
        given = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(error, path) from None
    file = _File(functools.partial(wrong, path))
    file.keys(given, "", ("pools", "groups", "users", "others", "elastic", "cluster", "classes"))
    pools = {name: file.whole(size, f"pools.{name}", 0) for name, size in file.table(given, "pools").items()}
    groups = {name: file.weight(each, f"groups.{name}") for name, each in file.table(given, "groups").items()}
    users = {
        name: file.member(each, f"users.{name}", groups) for name, each in file.table(given, "users").items()
    }
    others = file.table(given, "others")
    file.keys(others, "others", ("highest",))
    elastic = file.table(given, "elastic")
    file.keys(elastic, "elastic", ("settled",))
    settled = file.whole(elastic.get("settled", int(SETTLED)), "elastic.settled", 0)
    cluster = file.cluster(given["cluster"]) if "cluster" in given else None
    classes = {
        file.label(name, f"classes.{name}"): file.whole(value, f"classes.{name}")
        for name, value in file.table(given, "classes").items()
    }
    return Rules(pools, groups, users, file.member(others, "others", groups), settled, cluster, classes)


def _unreadable(error: Exception, path: Path) -> RefusedError:
    return RefusedError("TIP286", f"the rules of the queue cannot be read: {error}", where=str(path))


def wrong(path: Path, key: str, problem: str, fix: str = "") -> RefusedError:
    """What is to be raised for a key of a file."""
    return RefusedError("TIP286", f"{key}: {problem}", where=str(path), fix=fix)


class _File(RulesTables):
    def whole(self, value: object, key: str, least: int | None = None) -> int:
        if type(value) is not int or abs(value) >= 2**31 or (least is not None and value < least):
            wanted = "a whole number" if least is None else f"a whole number from {least}"
            raise self.wrong(key, f"{shown(value)} is not {wanted}")
        return value

    def weight(self, value: object, key: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 1e-6 <= value <= 1e6:
            raise self.wrong(
                key, f"{shown(value)} is not a weight", "write a number from 0.000001 to 1000000"
            )
        return float(value)

    def member(self, value: object, key: str, groups: Mapping[str, float]) -> Member:
        given = self.mapping(value, key)
        self.keys(given, key, ("group", "weight", "highest", "account", "namespace"))
        group = given.get("group", "")
        if "group" in given and not (isinstance(group, str) and group in groups):
            near = did_you_mean(group, groups) if isinstance(group, str) else ""
            raise self.wrong(
                f"{key}.group", f"there is no group {shown(group)}.{near}", "give it a weight in [groups]"
            )
        if "weight" in given and not group:
            raise self.wrong(f"{key}.weight", "it counts inside a group only", "name the group, too")
        highest = given.get("highest")
        return Member(
            str(group),
            self.weight(given.get("weight", 1), f"{key}.weight"),
            None if highest is None else self.whole(highest, f"{key}.highest"),
            self.text(given.get("account", ""), f"{key}.account"),
            self.label(given["namespace"], f"{key}.namespace") if "namespace" in given else "",
        )

    def text(self, value: object, key: str) -> str:
        if not isinstance(value, str):
            raise self.wrong(key, f"{shown(value)} is no text")
        return value

    def label(self, value: object, key: str) -> str:
        if not isinstance(value, str) or label_problem(value):
            problem = f"{shown(value)} is no name to Kubernetes"
            raise self.wrong(key, problem, "write at most 63 of a-z, 0-9 and '-', none of these at an end")
        return value

    def cluster(self, value: object) -> Cluster:
        given = self.mapping(value, "cluster")
        known = ("namespace", "cohort", *_AMOUNTS)
        self.keys({key: 0 for key in given if not _RESOURCE.match(key)}, "cluster", known)
        for key in ("namespace", "cpu", "memory"):
            if key not in given:
                raise self.wrong(f"cluster.{key}", "it is not there", f"write {key} = …")
        names = {key: self.label(given.get(key, "ml"), f"cluster.{key}") for key in ("namespace", "cohort")}
        resources = {
            key: self.amount(amount, f"cluster.{key}", key, _ENOUGH)
            for key, amount in sorted(given.items())
            if key not in names
        }
        return Cluster(**names, resources=resources)
