"""Who has used how much of what is shared: Fair Tree over groups and their users.

Use is counted in permit-seconds, weighed by the price of a permit, and forgotten with a half-life. At each level of the
tree siblings are ranked by use over weight, groups first, and users inside their groups: ranks, not products, so that
nobody's use counts against those of another group (Slurm's Fair Tree).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import field, replace

from tiphys.frozen import frozen

__all__ = ["HALF_LIFE", "Shares"]

HALF_LIFE = 86_400.0  # seconds after which use counts half


@frozen
class Shares:
    """What is owed to users, and what they have used.

    Parameters
    ----------
    groups
        The weight of each group. One that is not named has 1.
    users
        The group and, inside it, the weight of each user. One who is not named is a group of his own, of weight 1.
    used
        Permit-seconds of each user, as they count at the moment ``at`` (seconds).
    half_life
        In seconds.
    """

    groups: Mapping[str, float] = field(default_factory=dict)
    users: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    used: Mapping[str, float] = field(default_factory=dict)
    at: float = 0.0
    half_life: float = HALF_LIFE

    def after(self, rates: Mapping[str, float], now: float) -> Shares:
        """What counts at ``now``, when each user held ``rates`` permits all the time since ``at``.

        Use u decays as u·2^(-t/h); a steady rate r adds its integral, r·h/ln 2·(1 - 2^(-t/h)).
        """
        passed = now - self.at
        if passed <= 0:
            return self
        kept = 0.5 ** (passed / self.half_life)
        gained = self.half_life / math.log(2) * (1 - kept)
        used = {user: use * kept for user, use in self.used.items()}
        for user, rate in rates.items():
            used[user] = used.get(user, 0.0) + rate * gained
        return replace(self, used=used, at=now)

    def places(self, users: Iterable[str], extra: Mapping[str, float]) -> dict[str, tuple[float, float]]:
        """Where each user stands, the least first: use over weight of the group, then of the user inside it.

        ``extra`` is added to what was used, in permit-seconds.
        """
        known = set(users) | set(self.used) | set(extra)
        own = {user: self.used.get(user, 0.0) + extra.get(user, 0.0) for user in known}
        of_group: dict[str, float] = {}
        for user, use in own.items():
            group = self._group(user)
            of_group[group] = of_group.get(group, 0.0) + use
        return {user: (self._level(user, of_group), own[user] / self._weight(user)) for user in users}

    def owed(self, users: Iterable[str]) -> dict[str, float]:
        """The part of 1 that each of these is owed, when they are all there are: that of the group by its weight, then
        of the user inside it."""
        group_of = {user: self._group(user) for user in users}
        inside: dict[str, float] = {}
        for user, group in group_of.items():
            inside[group] = inside.get(group, 0.0) + self._weight(user)
        total = sum(self.groups.get(group, 1.0) for group in inside)
        return {
            user: self.groups.get(group, 1.0) / total * self._weight(user) / inside[group]
            for user, group in group_of.items()
        }

    def _level(self, user: str, of_group: Mapping[str, float]) -> float:
        group = self._group(user)
        return of_group[group] / self.groups.get(group, 1.0)

    def _group(self, user: str) -> str:
        return self.users[user][0] if user in self.users else f"user {user}"

    def _weight(self, user: str) -> float:
        return self.users[user][1] if user in self.users else 1.0
