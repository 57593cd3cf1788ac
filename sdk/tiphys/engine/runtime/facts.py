"""The facts of a run: what its machine is made from, written once into its journal before the first event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from tiphys.argo.version import NEWEST, Argo, known
from tiphys.engine.base.options import RunOptions
from tiphys.engine.machine import Machine
from tiphys.errors import RefusedError

__all__ = ["RunFacts", "remembered"]

Json = Any
VERSION = 1  # of the journal: its facts and its events
_REMEMBERED = (
    "runner", "images", "project", "env", "keep_serving", "keep_folders", "max_pods", "grace", "argo",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Everything about a run that its events do not tell.

    ``workflow`` is the object as it was given, with the values of its parameters in it; ``context`` the objects given
    with it; ``invalid`` what validation found, in the words after ``invalid spec:``; ``options`` how it runs
    (:func:`remembered`); ``now`` when it was made, in seconds since the epoch. Of a run that was retried: ``earlier``
    is the status that it goes on from, ``begun`` when the retry began, ``retries`` how many there were.
    """

    workflow: Mapping[str, Json]
    name: str
    namespace: str
    uid: str
    now: float
    parameters: Mapping[str, str] = field(default_factory=dict)
    context: Sequence[Mapping[str, Json]] = ()
    invalid: str = ""
    options: Mapping[str, Json] = field(default_factory=dict)
    earlier: Mapping[str, Json] | None = None
    begun: float | None = None
    retries: int = 0

    def to_json(self) -> dict[str, Json]:
        """As the journal keeps them: one JSON value for each name."""
        return {"version": VERSION, **{each.name: getattr(self, each.name) for each in fields(self)}}

    @classmethod
    def from_json(cls, found: Mapping[str, Json]) -> RunFacts | None:
        """What :meth:`to_json` gave; None for a run that was killed before its facts were written.

        Raises
        ------
        RefusedError
            TIP213: they are of another version of tiphys.
        """
        if not found:
            return None
        known = {each.name for each in fields(cls)}
        if found.get("version") != VERSION:
            name = found.get("name", "a run")
            raise RefusedError("TIP213", f"the journal of {name!r} is of another version of tiphys")
        return cls(**{name: value for name, value in found.items() if name in known})

    @property
    def started(self) -> float:
        """When the run began, or began again."""
        return self.now if self.begun is None else self.begun

    @property
    def argo(self) -> Argo:
        """The version of Argo that it behaves as: what its events mean depends on it."""
        return known(self.options.get("argo", NEWEST))

    def machine(self) -> Machine:
        """The machine of the run as it was before its first event."""
        return Machine(
            self.workflow,
            name=self.name,
            namespace=self.namespace,
            uid=self.uid,
            parameters=self.parameters,
            context=self.context,
            now=self.now,
            invalid=self.invalid,
            earlier=self.earlier,
            argo=self.argo,
        )

    def recalled(self, options: RunOptions) -> RunOptions:
        """``options`` with those of the run where nothing else is given, and always its version of Argo."""
        default = RunOptions()
        changes: dict[str, Json] = {
            name: value
            for name, value in self.options.items()
            if name in _REMEMBERED and getattr(options, name) == getattr(default, name)
        }
        changes["images"] = {**(self.options.get("images") or {}), **options.images}
        changes["argo"] = self.argo
        return replace(options, name=self.name, namespace=self.namespace, **changes)


def remembered(options: RunOptions) -> dict[str, Json]:
    """What of the options belongs to the run, so that it goes on in the same way."""
    found = {name: getattr(options, name) for name in _REMEMBERED}
    return {
        **found,
        "images": dict(options.images),
        "env": dict(options.env),
        "project": str(options.project),
    }
