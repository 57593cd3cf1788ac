"""One answer of several models: all are asked at the same time, and whoever is late or gone is left out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

from tiphys.errors import ServingError
from tiphys.serving.aggregate import mean, vote
from tiphys.serving.client import ServingClient

__all__ = ["PASSING", "Ensemble", "EnsembleAnswer", "EnsembleMember", "TooFewAnswersError"]

Rows: TypeAlias = list[list[float]]

PASSING = ("TIP520", "TIP522", "TIP525")
"""Nobody listens, nobody answers, no model yet: another moment, or another replica, may be better."""
_POLL_SECONDS = 0.1


class TooFewAnswersError(ServingError):
    """TIP532. ``missing``: why each one that did not answer is left out, by its place among the members."""

    missing: Mapping[int, ServingError] = MappingProxyType({})

    def __reduce__(self) -> tuple[object, ...]:
        return (*super().__reduce__(), {"missing": dict(self.missing)})


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
    mean or the vote; ``answered``: their places among the members; ``missing``: why each other one is left out;
    ``answers``: what each of them said, [rows][classes], by its place."""

    probabilities: Rows
    labels: list[int]
    answered: list[int]
    missing: Mapping[int, ServingError]
    answers: Mapping[int, Rows] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Seat:
    """A member and a connection to it, while nobody uses that."""

    member: EnsembleMember
    idle: list[ServingClient] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Asked:
    """One question to one member: its rows to come, and what went wrong with it last."""

    member: EnsembleMember
    instances: Sequence[object]
    signature: str
    until: float
    rows: Future[Rows] = field(default_factory=Future)
    last: ServingError | None = None


class Ensemble:
    """Asks all members at once and combines what they say within ``deadline`` seconds.

    ``combine``: ``"mean"`` of the probabilities, or the majority's ``"vote"``; both by the members' weights. With fewer
    than ``at_least`` answers there is none. May be used from several threads; close it, or use it in a ``with``.

    ``patient``: who cannot be reached or has no model yet is asked again until the deadline; a replica may then be
    silent for half of it. ``batch``: so many instances go in one request, 0 takes all; a member answers all requests
    or is missing. ``check`` looks at the rows of each request; its ValueError says why they are no answer (TIP523).

    Raises ServingError: TIP524 it is called wrongly, TIP526 the answers do not fit together, TIP532 too few answered
    (a :class:`TooFewAnswersError`: the causes are those of each).
    """

    def __init__(
        self,
        members: Sequence[EnsembleMember],
        *,
        combine: Literal["mean", "vote"] = "mean",
        deadline: float = 5.0,
        at_least: int = 1,
        patient: bool = False,
        batch: int = 0,
        check: Callable[[Rows], None] | None = None,
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
        if batch < 0:
            raise ServingError("TIP524", f"batch={batch}", fix="Instances of a request, or 0 for all.")
        self.members = tuple(members)
        self._combine, self._deadline, self._at_least = combine, deadline, at_least
        self._patient, self._batch, self._check = patient, batch, check
        self._token, self._certificate = token, certificate
        self._seats = [_Seat(each) for each in members]
        self._closed = False
        for seat in self._seats:
            seat.idle.append(self._client(seat.member))  # a bad address is told now

    def predict(self, instances: Sequence[object], *, signature: str = "") -> EnsembleAnswer:
        """One answer for each of ``instances``; each member gives probabilities, [rows][classes]."""
        until = time.monotonic() + self._deadline
        asked = [self._ask(seat, _Asked(seat.member, instances, signature, until)) for seat in self._seats]
        wait([each.rows for each in asked], max(0.0, until - time.monotonic()))
        found: dict[int, Rows] = {}
        missing: dict[int, ServingError] = {}
        for place, each in enumerate(asked):
            if not each.rows.done():
                missing[place] = each.last or self._late(self.members[place])
            elif isinstance(error := each.rows.exception(), ServingError):
                missing[place] = error
            else:
                found[place] = each.rows.result()
        if len(found) < self._at_least:
            few = TooFewAnswersError(
                "TIP532",
                f"{len(found)} of {len(self.members)} models answered; {self._at_least} are needed.",
                cause="\n".join(
                    f"{self.members[place].url}: {error.message} {error.cause}".rstrip()
                    for place, error in missing.items()
                ),
                fix="Are the services running? A longer deadline, or fewer members.",
            )
            few.missing = missing
            raise few
        answers = [*found.values()]
        weights = [self.members[place].weight for place in found]
        combined = mean(answers, weights)
        if self._combine == "vote":
            labels = [row.label for row in vote(answers, weights)]
        else:
            labels = [row.index(max(row)) for row in combined]
        return EnsembleAnswer(combined, labels, [*found], missing, found)

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
            timeout=self._deadline / 2 if self._patient else self._deadline,
            token=self._token,
            certificate=self._certificate,
        )

    def _ask(self, seat: _Seat, asked: _Asked) -> _Asked:
        """In a thread of its own: nobody waits for one that is late, and it ends with its own timeout."""
        client = seat.idle.pop() if seat.idle else self._client(seat.member)

        def work() -> None:
            try:
                found = self._answer(client, asked)
            except BaseException as error:  # noqa: BLE001 - handed to the caller
                client.close()
                asked.rows.set_exception(error)
                return
            if self._closed:
                client.close()
            else:
                seat.idle.append(client)
            asked.rows.set_result(found)

        threading.Thread(target=work, name="tiphys-ensemble", daemon=True).start()
        return asked

    def _answer(self, client: ServingClient, asked: _Asked) -> Rows:
        """All rows, request after request; with patience each is repeated while that may help."""
        size = self._batch or max(1, len(asked.instances))
        rows: Rows = []
        for start in range(0, max(1, len(asked.instances)), size):
            if start and (self._closed or time.monotonic() >= asked.until):
                raise self._late(asked.member)  # nobody waits for the rest
            rows += self._part(client, asked, asked.instances[start : start + size])
        return rows

    def _part(self, client: ServingClient, asked: _Asked, part: Sequence[object]) -> Rows:
        ready = not self._patient
        while True:
            try:
                if not ready:
                    client.wait_ready(0.0)
                    ready, asked.last = True, None
                rows = _rows(client, part, asked.signature)
                break
            except ServingError as error:
                if not self._patient or error.code not in PASSING:
                    raise
                ready, asked.last = False, self._unready(client, error) if error.code == "TIP525" else error
            left = asked.until - time.monotonic()
            if self._closed or left <= 0:
                raise asked.last
            time.sleep(min(_POLL_SECONDS, left))
        if self._check is not None:
            try:
                self._check(rows)
            except ValueError as error:
                raise _no_answer(client, str(error), rows) from error
        return rows

    def _late(self, member: EnsembleMember) -> ServingError:
        return ServingError(
            "TIP522", f"No answer from model {member.model} within {self._deadline:g} s.", where=member.url
        )

    def _unready(self, client: ServingClient, error: ServingError) -> ServingError:
        """What :meth:`ServingClient.wait_ready` says of a moment, of the time that there was in all."""
        return ServingError(
            "TIP525",
            f"Model {client.model} did not become available within {self._deadline:g} s.",
            where=client.url,
            cause=error.cause,
        )


def _rows(client: ServingClient, instances: Sequence[object], signature: str) -> Rows:
    found = client.predict(instances=instances, signature=signature)
    if not (
        isinstance(found, list)
        and len(found) == len(instances)
        and all(isinstance(row, list) and all(isinstance(each, int | float) for each in row) for row in found)
    ):
        raise _no_answer(client, f"wanted are {len(instances)} rows of numbers", found)
    return found


def _no_answer(client: ServingClient, why: str, found: object) -> ServingError:
    return ServingError(
        "TIP523",
        f"Model {client.model} does not answer with probabilities.",
        where=client.url,
        cause=f"{why}; the answer begins {str(found)[:80]}",
    )
