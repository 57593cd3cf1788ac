"""One answer of several models: all are asked at the same time, and whoever is late or gone is left out."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from tiphys.errors import ServingError
from tiphys.serving.aggregate import mean, vote
from tiphys.serving.client import ServingClient

__all__ = ["Ensemble", "EnsembleAnswer", "EnsembleMember"]

Rows: TypeAlias = list[list[float]]


@dataclass(frozen=True, slots=True)
class EnsembleMember:
    """A model at an address, and how much its answer counts beside the others': its accuracy, for example."""

    url: str
    model: str
    weight: float = 1.0
    version: int | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class EnsembleAnswer:
    """``probabilities``: [rows][classes], the mean of those who answered; ``labels``: the class of each row, by the
    mean or the vote; ``answered``: their places among the members; ``missing``: why each other one is left out."""

    probabilities: Rows
    labels: list[int]
    answered: list[int]
    missing: Mapping[int, ServingError]


@dataclass(slots=True, eq=False)
class _Seat:
    """A member and a connection to it, while nobody uses that."""

    member: EnsembleMember
    idle: list[ServingClient] = field(default_factory=list)


class Ensemble:
    """Asks all members at once and combines what they say within ``deadline`` seconds.

    ``combine``: ``"mean"`` of the probabilities, or the majority's ``"vote"``; both by the members' weights. With fewer
    than ``at_least`` answers there is none. May be used from several threads; close it, or use it in a ``with``.

    Raises ServingError: TIP524 it is called wrongly, TIP526 the answers do not fit together, TIP532 too few answered
    (the causes are those of each).
    """

    def __init__(
        self,
        members: Sequence[EnsembleMember],
        *,
        combine: Literal["mean", "vote"] = "mean",
        deadline: float = 5.0,
        at_least: int = 1,
        token: str = "",
        certificate: str = "",
    ) -> None:
        if combine not in ("mean", "vote"):
            raise ServingError("TIP524", f"combine={combine!r}", fix='Give "mean" or "vote".')
        if not 1 <= at_least <= len(members):
            raise ServingError(
                "TIP524", f"at least {at_least} of {len(members)} members", fix="From one to all of them."
            )
        if deadline <= 0:
            raise ServingError("TIP524", f"deadline={deadline!r}", fix="Seconds, more than 0.")
        self.members = tuple(members)
        self._combine, self._deadline, self._at_least = combine, deadline, at_least
        self._token, self._certificate = token, certificate
        self._seats = [_Seat(each) for each in members]
        self._closed = False
        for seat in self._seats:
            seat.idle.append(self._client(seat.member))  # a bad address is told now

    def predict(self, instances: Sequence[object], *, signature: str = "") -> EnsembleAnswer:
        """One answer for each of ``instances``; each member gives probabilities, [rows][classes]."""
        until = time.monotonic() + self._deadline
        asked = [self._ask(seat, instances, signature) for seat in self._seats]
        wait(asked, max(0.0, until - time.monotonic()))
        found: dict[int, Rows] = {}
        missing: dict[int, ServingError] = {}
        for place, future in enumerate(asked):
            if not future.done():
                missing[place] = self._late(self.members[place])
            elif isinstance(error := future.exception(), ServingError):
                missing[place] = error
            else:
                found[place] = future.result()
        if len(found) < self._at_least:
            raise ServingError(
                "TIP532",
                f"{len(found)} of {len(self.members)} models answered; {self._at_least} are needed.",
                cause="\n".join(
                    f"{self.members[place].url}: {error.message} {error.cause}".rstrip()
                    for place, error in missing.items()
                ),
                fix="Are the services running? A longer deadline, or fewer members.",
            )
        answers = [*found.values()]
        weights = [self.members[place].weight for place in found]
        combined = mean(answers, weights)
        if self._combine == "vote":
            labels = [row.label for row in vote(answers, weights)]
        else:
            labels = [row.index(max(row)) for row in combined]
        return EnsembleAnswer(combined, labels, [*found], missing)

    def close(self) -> None:
        """Let go of the connections."""
        self._closed = True
        for seat in self._seats:
            while seat.idle:
                seat.idle.pop().close()

    def __enter__(self) -> Ensemble:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _client(self, member: EnsembleMember) -> ServingClient:
        return ServingClient(
            member.url,
            member.model,
            version=member.version,
            label=member.label,
            timeout=self._deadline,
            token=self._token,
            certificate=self._certificate,
        )

    def _ask(self, seat: _Seat, instances: Sequence[object], signature: str) -> Future[Rows]:
        """In a thread of its own: nobody waits for one that is late, and it ends with its own timeout."""
        future: Future[Rows] = Future()
        client = seat.idle.pop() if seat.idle else self._client(seat.member)

        def work() -> None:
            try:
                found = _rows(client, instances, signature)
            except BaseException as error:  # noqa: BLE001 - handed to the caller
                client.close()
                future.set_exception(error)
                return
            if self._closed:
                client.close()
            else:
                seat.idle.append(client)
            future.set_result(found)

        threading.Thread(target=work, name="tiphys-ensemble", daemon=True).start()
        return future

    def _late(self, member: EnsembleMember) -> ServingError:
        return ServingError(
            "TIP522", f"No answer from model {member.model} within {self._deadline:g} s.", where=member.url
        )


def _rows(client: ServingClient, instances: Sequence[object], signature: str) -> Rows:
    found = client.predict(instances=instances, signature=signature)
    if not (
        isinstance(found, list)
        and len(found) == len(instances)
        and all(isinstance(row, list) and all(isinstance(each, int | float) for each in row) for row in found)
    ):
        raise ServingError(
            "TIP523",
            f"Model {client.model} does not answer with probabilities.",
            where=client.url,
            cause=f"wanted are {len(instances)} rows of numbers",
        )
    return found
