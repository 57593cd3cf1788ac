"""Which versions of which models are loaded.

A version is a folder with a number for its name under the model's base path. The base path is read again
every few seconds; what the policy asks for is loaded and warmed up beside what is there, then requests go to
it, then what is no longer asked for ends its requests and is unloaded (TensorFlow Serving's
AvailabilityPreservingPolicy). A version that cannot be loaded changes nothing for the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from tiphys.serving.model.batching import BatchParameters, BatchRunner
from tiphys.serving.model.chain import answered, in_turn
from tiphys.serving.model.servable import Code, Loader, ModelError, Servable
from tiphys.serving.versions import version_folders

__all__ = ["Manager", "ModelConfig", "Version"]

log = logging.getLogger("tiphys.serving")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One model to serve. ``versions``: exactly these; None: the ``latest`` newest (0: all).

    ``chains`` (of this server alone): by label, and ``""`` for requests that name no version, versions in the order in
    which they are asked; ``weights``: by label, too, parts of a hundred by which the first of them is drawn.
    """

    name: str
    base_path: Path
    latest: int = 1
    versions: tuple[int, ...] | None = None
    labels: Mapping[str, int] = field(default_factory=dict)
    chains: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    weights: Mapping[str, Mapping[int, int]] = field(default_factory=dict)


@dataclass(eq=False)
class Version:
    """One version and what became of it; ``state`` as GetModelStatus tells it."""

    model: str
    number: int
    path: Path
    state: str = "START"
    error: ModelError | None = None
    runner: BatchRunner | None = None
    users: int = 0
    failures: int = 0  # one after the other, of requests
    rests_until: float = 0.0  # in the loop's time: until then others of its chain are asked first
    attempts: int = 0
    retry_at: float = 0.0
    stamp: object = None
    refused: object = None
    idle: asyncio.Event = field(default_factory=asyncio.Event)


class Manager:
    """Loads, flips and unloads. All methods belong to one event loop; loading happens in a thread."""

    def __init__(
        self,
        models: list[ModelConfig],
        loader: Loader,
        *,
        batching: BatchParameters | None = None,
        poll_seconds: float = 1.0,
        max_load_retries: int = 5,
        retry_seconds: float = 60.0,
        alone: Callable[[], bool] = lambda: False,
    ) -> None:
        """``alone``: whether nobody waits for an answer but whoever is asking."""
        self.models = {model.name: model for model in models}
        self.loader = loader
        self._alone = alone
        self.batching = batching or BatchParameters(max_enqueued_batches=1024)
        self.poll_seconds = poll_seconds
        self.max_load_retries = max_load_retries
        self.retry_seconds = retry_seconds
        self._versions: dict[str, dict[int, Version]] = {name: {} for name in self.models}
        self._executor = ThreadPoolExecutor(self.batching.num_batch_threads, "model")
        self._loading = ThreadPoolExecutor(1, "load")
        self._poller: asyncio.Task[None] | None = None
        self._unloads: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._polling = asyncio.Lock()
        self._warned: set[str] = set()

    # ---- life
    async def start(self) -> None:
        """Load what is there. Returns when each model has a version that can be asked and no other is still
        being loaded; raises ModelError when none of a model's versions can be loaded."""
        self._poller = asyncio.get_running_loop().create_task(self._poll_forever())
        while True:
            self._changed.clear()
            for name, versions in self._versions.items():
                if versions and all(v.state == "END" for v in versions.values()):
                    worst = max(versions.values(), key=lambda v: v.number)
                    cause = worst.error or ModelError(Code.UNKNOWN, "no reason known")
                    raise ModelError(
                        cause.code,
                        f"version {worst.number} of model {name} cannot be loaded: {cause.message}",
                    )
            if all(self._available(name) and self._settled(name) for name in self.models):
                return
            if self._poller.done():
                self._poller.result()
                return
            await self._changed.wait()

    async def close(self) -> None:
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.gather(self._poller, *self._unloads, return_exceptions=True)
        for versions in self._versions.values():
            for version in versions.values():
                if version.runner is not None:
                    await version.runner.close()
                    version.runner.servable.close()
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._loading.shutdown(wait=False, cancel_futures=True)

    async def reconfigure(self, models: list[ModelConfig]) -> None:
        """Serve exactly these models from now on.

        New models and versions are loaded, then labels move, then what is no longer wanted is unloaded.
        Raises ModelError: FAILED_PRECONDITION for a label whose version is not available (all labels stay as
        they were), the loader's error for a model of which nothing could be loaded.
        """
        old, fresh = self.models, {model.name: model for model in models}
        for name in fresh:
            self._versions.setdefault(name, {})
        self.models = {name: self._between(old.get(name), model) for name, model in fresh.items()}
        for model in list(self.models.values()):
            await self.poll(model)
        for name in old.keys() - fresh.keys():
            self._retire(name, {}, last_too=True)
        for name, model in fresh.items():
            for label, number in model.labels.items():
                if label in model.chains:
                    continue  # the next one of its chain answers
                version = self._versions[name].get(number)
                if version is None or version.state != "AVAILABLE":
                    raise ModelError(
                        Code.FAILED_PRECONDITION,
                        f"Request to assign label to version {number} of model {name}, "
                        "which is not currently available for inference",
                    )
        self.models = fresh
        for name in fresh:
            if not self._available(name):
                base = fresh[name].base_path
                errors = [v.error for v in self.known(name) if v.error is not None and v.path.parent == base]
                raise errors[-1] if errors else ModelError(Code.NOT_FOUND, f"No version of model {name}")

    def _between(self, old: ModelConfig | None, fresh: ModelConfig) -> ModelConfig:
        """While new versions are loaded labels are where they were, and so are chains, if one begins with what is not
        loaded yet."""
        labels = {} if old is None else old.labels
        there = {version.number for version in self._available(fresh.name)}
        if old is None or {chain[0] for chain in fresh.chains.values() if chain} <= there:
            return replace(fresh, labels=labels)
        return replace(fresh, labels=labels, chains=old.chains, weights=old.weights)

    # ---- questions
    def status(self, name: str, number: int | None = None) -> list[Version]:
        """The versions of a model that are known, oldest first. Raises ModelError NOT_FOUND."""
        versions = self._versions.get(name, {})
        if number is not None:
            if number not in versions:
                raise ModelError(Code.NOT_FOUND, f"Could not find version {number} of model {name}")
            return [versions[number]]
        if not versions:
            raise ModelError(Code.NOT_FOUND, f"Could not find any versions of model {name}")
        return self.known(name)

    def known(self, name: str) -> list[Version]:
        """The versions of a model, oldest first; empty when there are none."""
        versions = self._versions.get(name, {})
        return [versions[key] for key in sorted(versions)]

    def resolve_label(self, name: str, label: str) -> int:
        model = self.models.get(name)
        if model is not None and label and (turn := self.in_turn(name, label)):
            return turn[0]
        if model is None or label not in model.labels:
            raise ModelError(Code.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}")
        return model.labels[label]

    def in_turn(self, name: str, label: str = "") -> list[int]:
        """The versions that are asked, one after the other, for a label or for none; empty where that has no chain, or
        nothing of it is loaded."""
        model = self.models.get(name)
        if model is None or label not in model.chains:
            return []
        now = asyncio.get_running_loop().time()
        return in_turn(self._versions[name], model.chains[label], model.weights.get(label, {}), now)

    async def answered(
        self, name: str, number: int | None, label: str, ask: Callable[[int | None], Awaitable[T]]
    ) -> T:
        """What ``ask(version)`` gives: of the version, of the one with the label, or of the newest (None); of the next
        one, where they have a chain and the first errs. Raises ModelError."""
        if number is None and (turn := self.in_turn(name, label)):
            clock = asyncio.get_running_loop().time
            return await answered(self._versions[name], turn, ask, clock)
        return await ask(self.resolve_label(name, label) if label else number)

    @contextlib.contextmanager
    def use(self, name: str, number: int | None = None) -> Iterator[tuple[Version, BatchRunner]]:
        """A version that will not be unloaded meanwhile: the newest available, or this one.

        Raises ModelError NOT_FOUND.
        """
        versions = self._versions.get(name, {})
        if number is None and (turn := self.in_turn(name)):
            number = turn[0]
        if number is None:
            version = max(
                (v for v in versions.values() if v.state == "AVAILABLE"), key=lambda v: v.number, default=None
            )
            asked = f"Latest({name})"
        else:
            version = versions.get(number)
            asked = f"Specific({name}, {number})"
        if version is None or version.state != "AVAILABLE" or version.runner is None:
            raise ModelError(Code.NOT_FOUND, f"Servable not found for request: {asked}")
        version.users += 1
        try:
            yield version, version.runner
        finally:
            version.users -= 1
            if version.users == 0:
                version.idle.set()

    def _available(self, name: str) -> list[Version]:
        return [v for v in self._versions[name].values() if v.state == "AVAILABLE"]

    def _settled(self, name: str) -> bool:
        """Whether each version that is wanted was tried at least once."""
        return all(
            v.state != "LOADING" and (v.state != "START" or v.attempts) for v in self._versions[name].values()
        )

    # ---- versions
    async def _poll_forever(self) -> None:
        while True:
            for model in list(self.models.values()):
                try:
                    await self.poll(model)
                except Exception:  # the next time it may be well again
                    log.exception("model %s: its versions could not be read", model.name)
            if self.poll_seconds <= 0:
                self._changed.set()
                return
            await asyncio.sleep(self.poll_seconds)

    async def poll(self, model: ModelConfig) -> None:
        """Read the base path once and do what it asks for."""
        async with self._polling:
            if self.models.get(model.name) is model:  # not replaced while this one waited
                await self._poll(model)

    async def _poll(self, model: ModelConfig) -> None:
        wanted = self._wanted(model)
        versions = self._versions[model.name]
        now = asyncio.get_running_loop().time()
        for number, path in wanted.items():
            version = versions.get(number)
            if version is not None and version.path != path and version.state == "AVAILABLE":
                await self._move(version, path)
                continue
            if version is None or (
                version.state == "END" and (version.error is None or _stamp(path) != version.stamp)
            ):
                version = versions[number] = Version(model.name, number, path)
        for number in wanted:
            version = versions[number]
            if version.state == "START" and now >= version.retry_at:
                await self._load(version)
        self._retire(model.name, wanted)

    async def _move(self, old: Version, path: Path) -> None:
        """The base path is another one now, with a version of the same number: load that, then let it take
        over."""
        stamp = _stamp(path)
        if stamp == old.refused:
            return
        fresh = Version(old.model, old.number, path)
        await self._load(fresh)
        old.refused = stamp  # if it could not be loaded it is not tried again before it changes
        if fresh.state == "AVAILABLE":
            self._versions[old.model][old.number] = fresh
            self._start_unload(old)

    def _wanted(self, model: ModelConfig) -> dict[int, Path]:
        try:
            found = version_folders(model.base_path)
        except OSError as error:
            self._warn(model, f"cannot read {model.base_path}: {error.strerror}")
            return {}
        if model.versions is not None:
            chosen = [number for number in model.versions if number in found]
        else:
            newest = sorted(found, reverse=True)
            chosen = newest[: model.latest] if model.latest else newest
        if not chosen:
            self._warn(model, f"no version found under {model.base_path}")
        else:
            self._warned.discard(model.name)
        return {number: found[number] for number in sorted(chosen, reverse=True)}

    def _warn(self, model: ModelConfig, text: str) -> None:
        if model.name not in self._warned:
            self._warned.add(model.name)
            log.warning("model %s: %s; waiting", model.name, text)

    async def _load(self, version: Version) -> None:
        loop = asyncio.get_running_loop()
        version.state = "LOADING"
        version.attempts += 1
        version.stamp = _stamp(version.path)
        started = loop.time()
        try:
            servable: Servable = await loop.run_in_executor(self._loading, self.loader, version.path)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a loader raises is this version's end
            version.error = error if isinstance(error, ModelError) else _internal(error)
            retry = version.attempts <= self.max_load_retries and self.retry_seconds >= 0
            transient = version.error.code in (Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.ABORTED)
            version.state = "START" if retry and transient else "END"
            version.retry_at = loop.time() + self.retry_seconds
            log.error("model %s version %d: not loaded: %s", version.model, version.number, version.error)
        else:
            version.runner = BatchRunner(servable, self._executor, self.batching, self._alone)
            version.state, version.error = "AVAILABLE", None
            took = loop.time() - started
            log.info("model %s version %d: available after %.2f s", version.model, version.number, took)
        self._changed.set()

    def _retire(self, name: str, wanted: Mapping[int, Path], *, last_too: bool = False) -> None:
        """Unload what is no longer wanted, but not the last version that answers (unless told to)."""
        available = self._available(name)
        kept = [v for v in available if v.number in wanted]
        leaving = [v for v in available if v.number not in wanted]
        if not kept and not last_too:
            leaving = []
        for version in leaving:
            self._start_unload(version)

    def _start_unload(self, version: Version) -> None:
        version.state = "UNLOADING"
        task = asyncio.get_running_loop().create_task(self._unload(version))
        self._unloads.add(task)
        task.add_done_callback(self._unloads.discard)

    async def _unload(self, version: Version) -> None:
        while version.users:
            version.idle.clear()
            await version.idle.wait()
        runner, version.runner = version.runner, None
        if runner is not None:
            await asyncio.get_running_loop().run_in_executor(self._loading, runner.servable.close)
        version.state = "END"
        log.info("model %s version %d: unloaded", version.model, version.number)


def _stamp(path: Path) -> object:
    """Changes when what is in a version's folder changes: one that failed is then tried again."""
    stamp = []
    for name in ("", "saved_model.pb", "fake.json"):
        with contextlib.suppress(OSError):
            info = (path / name).stat()
            stamp.append((info.st_ino, info.st_mtime_ns, info.st_size))
    return stamp


def _internal(error: Exception) -> ModelError:
    return ModelError(Code.INTERNAL, f"{type(error).__name__}: {error}")
