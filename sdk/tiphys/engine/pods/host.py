"""What a pod needs from the run it belongs to."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.engine.base.loop import Loop
from tiphys.engine.base.observations import Notice, Observation
from tiphys.engine.base.options import RunOptions
from tiphys.engine.pods.memory import MemoryWatch
from tiphys.engine.pods.room import Guest, Room
from tiphys.engine.pods.sampler import Sampler
from tiphys.engine.runners.folders import Folders
from tiphys.engine.runners.images import Images
from tiphys.engine.runners.left import Left, LeftPod
from tiphys.engine.runners.spawner import Spawner
from tiphys.errors import RefusedError, TiphysError
from tiphys.store import Store

if TYPE_CHECKING:
    from tiphys.argo.types import GivenObject, WorkflowSpec
    from tiphys.engine.runners.base import Runner
    from tiphys.engine.runners.network import Network

__all__ = ["Host", "Objects"]


class Objects:
    """The ConfigMaps and Secrets that the run can see: those given with the workflow, and those it made."""

    def __init__(self, context: Iterable[GivenObject]) -> None:
        self._found: dict[tuple[str, str], GivenObject] = {}
        for each in context:
            self.add(each)

    def add(self, item: GivenObject) -> None:
        name = (item.get("metadata") or {}).get("name", "")
        self._found[(str(item.get("kind", "")), str(name))] = item

    def configmap(self, name: str) -> dict[str, bytes] | None:
        """The data of a ConfigMap, or None."""
        item = self._found.get(("ConfigMap", name))
        if item is None:
            return None
        data = {key: str(value).encode() for key, value in (item.get("data") or {}).items()}
        binary = {key: base64.b64decode(value) for key, value in (item.get("binaryData") or {}).items()}
        return data | binary

    def secret(self, name: str) -> dict[str, bytes] | None:
        """The decoded data of a Secret, or None."""
        item = self._found.get(("Secret", name))
        if item is None:
            return None
        data = {key: base64.b64decode(value) for key, value in (item.get("data") or {}).items()}
        plain = {key: str(value).encode() for key, value in (item.get("stringData") or {}).items()}
        return data | plain

    def all(self) -> Iterable[GivenObject]:
        """Every object as it is now, those that are neither ConfigMap nor Secret included."""
        return self._found.values()

    def raw(self, kind: str, name: str) -> GivenObject | None:
        return self._found.get((kind, name))


@dataclass(slots=True)
class Host:
    """The run's services, shared by all its pods."""

    loop: Loop
    spawner: Spawner
    store: Store
    folder: Path  # runs/NAME
    options: RunOptions
    images: Images
    runner: Runner
    objects: Objects
    workflow: str
    namespace: str
    uid: str
    spec: WorkflowSpec
    tell: Callable[[Observation], None]
    base_env: Mapping[str, str]  # of images that are mapped to this machine
    project_env: Mapping[str, str]  # of the project's own images
    folders: Folders
    room: Room
    created: float  # when the run was made, in seconds since the epoch
    addresses: set[str] = field(default_factory=set)
    origins: Mapping[str, str] = field(default_factory=dict)  # the files that Secrets are in, by their names
    left: Left | None = None  # of a killed engine; None: what belongs to steps is not written down
    since: dict[str, float] = field(default_factory=dict)  # node -> when a killed engine's pod of it ran
    reports: bool = False  # whether there is a folder for what steps tell
    memory: MemoryWatch = field(init=False)
    sampler: Sampler = field(init=False)

    def __post_init__(self) -> None:
        self.memory = MemoryWatch(self.loop)
        self.sampler = Sampler(self.loop, self.folder)
        if self.runner.last:
            self.spawner.at_end(self.runner.last)

    @property
    def network(self) -> Network:
        """What the pods reach, and by which the engine reaches them."""
        return self.runner.network

    def left_pod(self, name: str) -> LeftPod | None:
        """What a killed engine had started of a pod (a node's ID, ``UID/NAME`` of an object's), if it goes on as it
        is."""
        return None if self.left is None else self.left.pod(name, self.runner.name)

    def holder(self, name: str) -> str:
        """What a node or replica of the run is called where all engines of this machine meet."""
        return f"{self.uid}/{name}"

    def guest(self, name: str, shown: str) -> Guest:
        """A node or replica that asks for room; people know it as ``shown``."""
        claim = f"{self.namespace}/{self.workflow}/{name}/pod"
        priority = int(self.spec.get("priority") or 0)
        return Guest(self.holder(name), claim, shown, priority, self.created)

    def notice(self, error: TiphysError) -> None:
        """Tell whoever watches of an error that ends a step, with its cause and what to do."""
        self.tell(Notice(self.loop.now(), str(error), error.code))

    def not_given(self, kind: str, name: str, key: str = "") -> None:
        """Tell of a Secret or ConfigMap, or of a key of one, that a step wants and that is not there."""
        how = f"--secret {name}/{key or 'KEY'}=FILE (or =env:VARIABLE), or " if kind == "Secret" else ""
        what = f"the key {key!r} of the {kind} {name!r}" if key else f"the {kind} {name!r}"
        self.notice(
            RefusedError(
                "TIP238",
                f"a step wants {what}, which this run was not given",
                where=self.workflow,
                cause="on this machine there are the objects that a run is given, and those that its steps make",
                fix=f"tiphys run … {how}--with FILE, a file of YAML that has it",
            )
        )

    def log_path(self, name: str) -> str:
        """The log file of a node or replica."""
        return f"{self.folder}/logs/{name}.log"
