"""The facts of a run: what its machine is made from, written once into its journal before the first event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from tiphys.argo.version import NEWEST, Argo, known
from tiphys.engine.base.options import GpuChoice, NetworkName, RunnerName, RunOptions
from tiphys.engine.machine.machine import Machine
from tiphys.engine.runtime.withheld import hollow, name_of, revealed
from tiphys.errors import RefusedError, StoreError

if TYPE_CHECKING:
    from tiphys.argo.types import GivenObject, Workflow, WorkflowStatus


__all__ = ["WRITTEN", "Remembered", "RunFacts", "remembered"]

VERSION = 1  # of the journal: its facts and its events
WRITTEN = "written"  # the fact that is added at the end: the sum over workflow.json
T = TypeVar("T")


class Remembered(TypedDict, total=False):
    """Options that belong to a run, as its journal keeps them."""

    runner: RunnerName
    network: NetworkName
    images: Mapping[str, str]
    project: Path | str
    env: Mapping[str, str]
    keep_serving: bool
    keep_folders: bool
    max_pods: int
    gpus: GpuChoice
    grace: float
    argo: Argo
    strict_values: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Everything about a run that its events do not tell.

    ``workflow`` is the object as it was given, with the values of its parameters in it; ``context`` the objects given
    with it, ``origins`` the files that its Secrets are in, by their names: a journal has no value of a Secret
    (:mod:`.withheld`); ``invalid`` what validation found, in the words after ``invalid spec:``; ``options`` how it runs
    (:func:`remembered`); ``now`` when it was made, in seconds since the epoch. Of a run that was retried: ``earlier``
    is the status that it goes on from, ``begun`` when the retry began, ``retries`` how many there were.
    """

    workflow: Workflow
    name: str
    namespace: str
    uid: str
    now: float
    parameters: Mapping[str, str] = field(default_factory=dict)
    context: Sequence[GivenObject] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    invalid: str = ""
    options: Remembered = field(default_factory=Remembered)
    earlier: WorkflowStatus | None = None
    begun: float | None = None
    retries: int = 0

    def to_json(self) -> dict[str, object]:
        """As the journal keeps them: one JSON value for each name."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        context = [hollow(item, self.origins.get(name_of(item), "")) for item in self.context]
        return {"version": VERSION, **own, "context": context}

    @classmethod
    def from_json(cls, found: Mapping[str, object]) -> RunFacts | None:
        """What :meth:`to_json` gave; None for a run that was killed before its facts were written.

        Raises
        ------
        RefusedError
            TIP213: they are of another version of tiphys.
        StoreError
            TIP451: some are missing, or are nothing that was written.
        """
        if not found:
            return None
        known = {each.name for each in fields(cls)}
        if found.get("version") != VERSION:
            name = found.get("name", "a run")
            raise RefusedError("TIP213", f"the journal of {name!r} is of another version of tiphys")
        own: Any = {name: value for name, value in found.items() if name in known}
        try:
            made = cls(**own)
            for item in (made.workflow, made.parameters, made.origins, made.options, *made.context):
                if not isinstance(item, dict):
                    raise TypeError(f"{type(item).__name__} where an object must be")
            return made
        except TypeError as error:
            raise StoreError(
                "TIP451", f"the journal is damaged: {error}", fix="start the run anew"
            ) from error

    def revealed(self, folder: Path, anew: Sequence[Path | str] = (), *, partly: bool = False) -> RunFacts:
        """These facts with the Secrets themselves, which no journal has: :func:`.withheld.revealed`."""
        context, origins = revealed(self.name, folder, self.context, anew, partly=partly)
        return replace(self, context=context, origins={**self.origins, **origins})

    @property
    def started(self) -> float:
        """When the run began, or began again."""
        return self.now if self.begun is None else self.begun

    @property
    def argo(self) -> Argo:
        """The version of Argo that it behaves as: what its events mean depends on it."""
        return known(self.options.get("argo", NEWEST))

    @property
    def strict_values(self) -> bool:
        """Whether values that hold tags are refused: what its events mean depends on it."""
        return self.options.get("strict_values", False)

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
            strict_values=self.strict_values,
        )

    def recalled(self, options: RunOptions) -> RunOptions:
        """``options`` with those of the run where nothing else is given, and always its version of Argo."""
        default, own = RunOptions(), self.options

        def chosen(given: T, usual: T, before: T | None) -> T:
            return before if before is not None and given == usual else given

        return replace(
            options,
            name=self.name,
            namespace=self.namespace,
            runner=chosen(options.runner, default.runner, own.get("runner")),
            network=chosen(options.network, default.network, own.get("network")),
            images={**(own.get("images") or {}), **options.images},
            project=chosen(options.project, default.project, own.get("project")),
            env=chosen(options.env, default.env, own.get("env")),
            keep_serving=chosen(options.keep_serving, default.keep_serving, own.get("keep_serving")),
            keep_folders=chosen(options.keep_folders, default.keep_folders, own.get("keep_folders")),
            max_pods=chosen(options.max_pods, default.max_pods, own.get("max_pods")),
            gpus=chosen(options.gpus, default.gpus, own.get("gpus")),
            grace=chosen(options.grace, default.grace, own.get("grace")),
            argo=self.argo,
            strict_values=self.strict_values,
        )


def remembered(options: RunOptions) -> Remembered:
    """What of the options belongs to the run, so that it goes on in the same way."""
    return {
        "runner": options.runner,
        "network": options.network,
        "images": dict(options.images),
        "project": str(options.project),
        "env": dict(options.env),
        "keep_serving": options.keep_serving,
        "keep_folders": options.keep_folders,
        "max_pods": options.max_pods,
        "gpus": options.gpus,
        "grace": options.grace,
        "argo": options.argo,
        "strict_values": options.strict_values,
    }
