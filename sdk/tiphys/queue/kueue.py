"""What ``queue.toml`` says, as objects of Kueue (0.15 or later, API v1beta2).

A group is a ClusterQueue of one cohort, with its share of what the cluster has as its own and its weight for what
others leave; a user is a LocalQueue, with his weight inside the group; a class is a WorkloadPriorityClass. Who may use
which is in admission.py. Kueue's two fairnesses are this: between ClusterQueues by taking back what was lent, between
LocalQueues by what was used (docs/queue.md says how Kueue must be configured).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.argo.paths import label_problem
from tiphys.argo.quantity import written_quantity
from tiphys.frozen import frozen
from tiphys.queue.admission import Seat, policies
from tiphys.queue.rules import Cluster, Member, Rules, wrong

if TYPE_CHECKING:
    from tiphys.jsontypes import Json, JsonObject

__all__ = ["apportioned", "kueue_name", "kueue_objects"]

_API = "kueue.x-k8s.io/v1beta2"


def kueue_objects(rules: Rules, path: Path) -> tuple[list[JsonObject], list[str]]:
    """The objects, in the order in which they are applied, and what of the rules they do not say.

    Raises RefusedError (TIP286) where the rules of ``path`` name no cluster or nobody, or two by one name.
    """
    cluster = rules.cluster
    if cluster is None:
        problem, fix = (
            "there is no such table",
            "write [cluster] with namespace, cpu and memory of all together",
        )
        raise wrong(path, "cluster", problem, fix)
    teams = list(_teams(rules, cluster, path))
    if not teams:
        raise wrong(path, "groups", "there is neither a group nor a user", "write [groups] and [users.NAME]")
    seats = _seats(rules, cluster, path)
    objects = [
        _object("ResourceFlavor", cluster.cohort),
        *_cluster_queues(teams, cluster),
        *(_local_queue(team, user, seats[user]) for team in teams for user in team.users),
        *(_priority_class(name, value) for name, value in sorted(rules.classes.items())),
        *policies(cluster, list(seats.values()), rules),
    ]
    return objects, [*_unsaid(rules, seats), *_owed_nothing(teams, cluster)]


def kueue_name(name: str) -> str:
    """``name`` where Kubernetes takes it for one, of at most 63 characters; else one that is made of it, with eight
    digits of its hash: no two of them are the same. Into a LocalQueue ``default`` Kueue would put all that names
    none, model servers, too: that name is another, as well."""
    if not label_problem(name) and name != "default":
        return name
    digits = hashlib.sha256(name.encode()).hexdigest()[:8]
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:54].strip("-")
    return f"{words}-{digits}" if words else f"x-{digits}"


def apportioned(total: int, weights: Sequence[Fraction]) -> list[int]:
    """``total`` in whole numbers by weight: their sum is ``total``; what is left over goes to the largest remainders,
    of equal ones to the first."""
    shares = [total * weight / sum(weights) for weight in weights]
    whole = [int(share) for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda each: whole[each] - shares[each])
    for each in by_remainder[: total - sum(whole)]:
        whole[each] += 1
    return whole


@frozen
class _Team:
    """A group, or a user who is one of his own."""

    key: str
    queue: str
    weight: float
    users: Mapping[str, Member]
    namespaces: Sequence[str]


def _teams(rules: Rules, cluster: Cluster, path: Path) -> Iterator[_Team]:
    alone = {user: member for user, member in rules.users.items() if not member.group}
    found = [
        (f"groups.{group}", group, weight, {u: m for u, m in rules.users.items() if m.group == group})
        for group, weight in rules.groups.items()
    ]
    found += [(f"users.{user}", user, 1.0, {user: member}) for user, member in alone.items()]
    taken: dict[str, str] = {}
    for key, name, weight, users in sorted(found, key=lambda each: (each[1], each[0])):
        queue = kueue_name(f"{cluster.cohort}-{name}")
        if queue in taken:
            raise wrong(
                path, key, f"its ClusterQueue would be {queue}, as that of {taken[queue]}", "rename one"
            )
        taken[queue] = key
        spaces = {member.namespace or cluster.namespace for member in users.values()} or {cluster.namespace}
        yield _Team(key, queue, weight, dict(sorted(users.items())), sorted(spaces))


def _seats(rules: Rules, cluster: Cluster, path: Path) -> dict[str, Seat]:
    """Each user's queue, and who he is to Kubernetes."""
    seats: dict[str, Seat] = {}
    queues: dict[tuple[str, str], str] = {}
    accounts: dict[str, str] = {}
    for user, member in sorted(rules.users.items()):
        seat = Seat(
            user,
            member.account or user,
            member.namespace or cluster.namespace,
            kueue_name(user),
            member.highest,
        )
        for what, name, taken in (
            ("queue", seat.queue, queues.setdefault((seat.namespace, seat.queue), user)),
            ("account", seat.account, accounts.setdefault(seat.account, user)),
        ):
            if taken != user:
                raise wrong(
                    path, f"users.{user}", f"the {what} {name} is that of users.{taken}", "rename one"
                )
        seats[user] = seat
    return seats


def _cluster_queues(teams: Sequence[_Team], cluster: Cluster) -> Iterator[JsonObject]:
    weights = [_exact(team.weight) for team in teams]
    shares = {name: apportioned(total, weights) for name, total in cluster.resources.items()}
    for index, team in enumerate(teams):
        own: list[Json] = [
            {"name": name, "nominalQuota": written_quantity(name, parts[index])}
            for name, parts in shares.items()
        ]
        flavor: JsonObject = {"name": cluster.cohort, "resources": own}
        yield _object(
            "ClusterQueue",
            team.queue,
            spec={
                "cohortName": cluster.cohort,
                "namespaceSelector": {
                    "matchExpressions": [
                        {
                            "key": "kubernetes.io/metadata.name",
                            "operator": "In",
                            "values": list(team.namespaces),
                        }
                    ]
                },
                "queueingStrategy": "BestEffortFIFO",  # who does not fit yet is passed by those that do
                "preemption": {"reclaimWithinCohort": "Any", "withinClusterQueue": "LowerPriority"},
                "fairSharing": {"weight": _number(team.weight)},
                "admissionScope": {"admissionMode": "UsageBasedAdmissionFairSharing"},
                "resourceGroups": [{"coveredResources": list(shares), "flavors": [flavor]}],
            },
        )


def _local_queue(team: _Team, user: str, seat: Seat) -> JsonObject:
    weight = _number(team.users[user].weight)
    spec: JsonObject = {"clusterQueue": team.queue, "fairSharing": {"weight": weight}}
    return _object("LocalQueue", seat.queue, namespace=seat.namespace, spec=spec)


def _priority_class(name: str, value: int) -> JsonObject:
    return _object("WorkloadPriorityClass", name, value=value, description=f"priority {value} of queue.toml")


def _object(kind: str, name: str, namespace: str = "", **fields: Json) -> JsonObject:
    metadata: JsonObject = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": _API, "kind": kind, "metadata": metadata, **fields}


def _unsaid(rules: Rules, seats: Mapping[str, Seat]) -> Iterator[str]:
    for pool in sorted(rules.pools):
        yield f"pools.{pool}: a cluster has no such pool: what is shared there is cpu, memory and devices ([cluster])"
    if rules.classes:
        yield (
            "classes: shares come first there: a class orders what one user has waiting, and a higher one preempts "
            "a lower one of its group"
        )
    if rules.others.highest is not None:
        yield "others: who is not named has no queue there; his Workflows may have a priority up to their highest"
    for user, seat in seats.items():
        if seat.queue != user:
            yield f"users.{user}: his queue there is {seat.queue}, as Kubernetes does not take the name"


def _owed_nothing(teams: Sequence[_Team], cluster: Cluster) -> Iterator[str]:
    weights = [_exact(team.weight) for team in teams]
    for name, total in cluster.resources.items():
        for team, own in zip(teams, apportioned(total, weights), strict=True):
            if total and not own:
                yield f"{team.key}: its share of {name} is less than one: it has what others leave, until they ask"


def _exact(weight: float) -> Fraction:
    """As it is written: 0.1 is a tenth."""
    return Fraction(repr(weight))


def _number(weight: float) -> str:
    """Without an exponent, which Kubernetes reads in its own way."""
    text = f"{Decimal(repr(weight)):f}"
    return text.removesuffix(".0")
