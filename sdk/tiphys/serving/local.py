"""Replicas of the model server behind a balancer, on this machine: what ``tiphys serve`` runs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiphys.errors import ServingError
from tiphys.serving.balancer import CallBalancer, HttpDriver, Settings
from tiphys.serving.balancer.driver import start_driver
from tiphys.serving.client import ServingClient
from tiphys.serving.folder_source import FolderSource
from tiphys.serving.guard import Guard
from tiphys.serving.replica import ServerReplica, start_replica
from tiphys.serving.rollout import Rollout, RolloutSource
from tiphys.serving.versions import version_folders

if TYPE_CHECKING:
    from tiphys.serving.balancer.core import Stats
    from tiphys.serving.balancer.pin import VersionPin

__all__ = ["LocalServing", "serve", "serve_forever"]

Report = Callable[[str], None]


_LOOK = 0.1  # seconds between two looks at the replicas, and at what is to be served


class _Stopped(Exception):
    """Told to stop before all replicas were ready."""


class LocalServing:
    """Running replicas and their balancer. Made by :func:`serve`; stop it, or use it in a ``with``."""

    def __init__(
        self,
        balancer: HttpDriver,
        base: Path,
        name: str,
        flags: Sequence[str],
        count: int,
        report: Report,
        stopping: threading.Event,
        calls: CallBalancer | None = None,
        rollout: Rollout[Any] | None = None,
    ) -> None:
        self._balancer, self._calls, self._rollout = balancer, calls, rollout
        self._base = base
        self._flags = [_share_of(count), "--tiphys_batching", *flags]  # the last of a flag holds
        if rollout is not None:
            self._flags += rollout.flags
        self.name = name
        self._report = report
        self._stopping = stopping
        self._lock = threading.Lock()
        self._replicas = [self._spawn() for _ in range(count)]
        self._watcher = threading.Thread(target=self._watch, name="tiphys-serve", daemon=True)

    @property
    def url(self) -> str:
        """Where the balancer listens."""
        return self._balancer.url

    @property
    def grpc_address(self) -> str:
        """``HOST:PORT`` of gRPC; empty without."""
        return self._calls.address if self._calls is not None else self._balancer.grpc_address

    def pids(self) -> list[int]:
        """The replicas' processes."""
        with self._lock:
            return [replica.process.pid for replica in self._replicas]

    def stats(self) -> Stats:
        return self._balancer.stats()

    def begin(self, timeout: float) -> LocalServing:
        """Wait until all replicas answer. Raises ServingError TIP518 when one ends or takes too long."""
        deadline = time.monotonic() + timeout
        for replica in self._replicas:
            self._await(replica, deadline)
        if self._rollout is not None:
            self._rollout.begin(self._pin)
        self._publish()
        self._watcher.start()
        return self

    def wait(self, timeout: float | None = None) -> bool:
        """Block until :meth:`stop` is called (from another thread or a signal handler)."""
        return self._stopping.wait(timeout)

    def stop(self) -> None:
        """Drain the balancer and the replicas, and wait until they have ended."""
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join()
        self._balancer.stop()
        if self._calls is not None:
            self._calls.stop()
        with self._lock:
            for replica in self._replicas:
                _end(replica)
            self._replicas = []
        if self._rollout is not None:
            self._rollout.close()

    def __enter__(self) -> LocalServing:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    # ---- replicas
    def _spawn(self) -> ServerReplica:
        return start_replica(self.name, self._base, self._flags, calls=self._calls is not None)

    def _await(self, replica: ServerReplica, deadline: float) -> None:
        with ServingClient(f"http://{replica.address}", self.name, timeout=5.0) as client:
            while not self._stopping.is_set():
                code = replica.process.poll()
                if code is not None:
                    raise ServingError(
                        "TIP518",
                        f"A replica of {self.name} ended with exit code {code} before it was ready.",
                        cause=replica.last_words(),
                    )
                try:
                    client.wait_ready(0.2)
                except ServingError as error:
                    if time.monotonic() > deadline:
                        raise ServingError(
                            "TIP518",
                            f"A replica of {self.name} was not ready in time.",
                            cause=f"{error.cause}\n{replica.last_words()}",
                        ) from error
                else:
                    replica.ready = True
                    return
            raise _Stopped

    def _pin(self, pin: VersionPin | None) -> None:
        self._balancer.pin(pin)
        if self._calls is not None:
            self._calls.pin(pin)

    def _publish(self) -> None:
        ready = [replica for replica in self._replicas if replica.ready]
        self._balancer.set_endpoints(replica.address for replica in ready)
        if self._calls is not None:
            self._calls.set_endpoints(replica.grpc_address for replica in ready)

    def _watch(self) -> None:
        """Replace replicas that end, more slowly each time the new one ends at once."""
        while not self._stopping.wait(_LOOK):
            with self._lock:
                for index, replica in enumerate(self._replicas):
                    if replica.process.poll() is not None:
                        self._replace(index, replica)
                    elif not replica.ready:
                        self._look(replica)
                if self._rollout is not None:
                    self._rollout.look(each.address for each in self._replicas if each.ready)

    def _look(self, replica: ServerReplica) -> None:
        with ServingClient(f"http://{replica.address}", self.name, timeout=1.0) as client:
            try:
                client.wait_ready(0.0)
            except ServingError:
                return
        if self._rollout is not None and not self._rollout.has(replica.address):
            return
        replica.ready = True
        self._publish()

    def _replace(self, index: int, dead: ServerReplica) -> None:
        if dead.ready:
            dead.ready, dead.served = False, True
            self._report(f"replica {dead.address} ended with exit code {dead.process.returncode}")
            self._publish()
        # one that has served is replaced at once; one that ends as it starts, again and again, ever later
        failures = 0 if dead.served else dead.failures + 1
        if failures and time.monotonic() - dead.born < min(30.0, 0.5 * 2**failures):
            return
        dead.close()
        fresh = self._spawn()
        fresh.failures = failures
        self._replicas[index] = fresh
        self._report(f"replica {fresh.address} starts")


def serve(
    model_base_path: str | Path,
    name: str = "default",
    host: str = "127.0.0.1",
    port: int = 8501,
    *,
    replicas: int = 2,
    policy: str = "round-robin",
    driver: str = "auto",
    grpc_port: int | None = None,
    guard: Guard | None = None,
    flags: Sequence[str] = (),
    source: RolloutSource[Any] | None = None,
    timeout: float = 120.0,
    report: Report = lambda text: None,
    stop: threading.Event | None = None,
) -> LocalServing:
    """Serve a model from ``replicas`` processes behind one address. Returns when all of them answer.

    ``model_base_path`` holds one folder for each version, named by numbers. ``driver``: what balances, one of
    :data:`tiphys.serving.balancer.driver.DRIVERS`. ``grpc_port``: that of gRPC, 0 takes a free one, None is without;
    HAProxy answers it by itself, what is built in needs grpcio. ``guard``: who may ask. ``flags`` are further flags of
    the model server. ``source`` says which versions are served; without one it is the newest. A replica that dies is
    replaced; ``report`` is told. ``stop`` ends the waiting: here and in :meth:`LocalServing.wait`.

    Raises ServingError: TIP510 the address is taken, TIP511 unknown policy or driver, TIP518 a replica does not start,
    TIP519 there is no model, TIP527 TensorFlow is not installed, TIP528 no replicas are asked for, TIP530 no
    grpcio, TIP531 HAProxy or Envoy is asked for and does not start.
    """
    base = Path(model_base_path).absolute()
    if source is None:
        _look_for_versions(base)
    if not any(flag.startswith("--tiphys_loader") for flag in flags):
        _look_for_tensorflow()
    if replicas < 1:
        raise ServingError("TIP528", f"{replicas} replicas cannot serve.", fix="Use 1 or more.")
    settings = Settings(guard=guard or Guard())
    if source is None and replicas > 1 and not any(flag.startswith("--model_config_file") for flag in flags):
        source = FolderSource(name, base)
    with contextlib.ExitStack() as undo:
        rollout = None
        if source is not None:
            rollout = Rollout(source, report)
            undo.callback(rollout.close)
        balancer = start_driver(
            driver,
            host,
            port,
            model=name,
            policy=policy,
            replicas=replicas,
            settings=settings,
            grpc_port=grpc_port,
            report=report,
        )
        undo.callback(balancer.stop)
        calls = None
        if grpc_port is not None and not balancer.grpc_address:
            calls = CallBalancer(host, grpc_port, policy=policy, settings=settings).start()
            undo.callback(calls.stop)
        report(f"starting {replicas} replica{'s' if replicas > 1 else ''} of {name}")
        stopping = stop or threading.Event()
        serving = LocalServing(balancer, base, name, flags, replicas, report, stopping, calls, rollout)
        undo.pop_all()
    try:
        return serving.begin(timeout)
    except BaseException:
        serving.stop()
        raise


def _look_for_tensorflow() -> None:
    if find_spec("tensorflow") is None:
        raise ServingError(
            "TIP527",
            "TensorFlow is not installed, and SavedModels need it.",
            fix="pip install 'tiphys[serve]'",
        )


def _look_for_versions(base: Path) -> None:
    if (base / "saved_model.pb").exists():
        raise ServingError(
            "TIP519",
            f"{base} is one version of a model, not a model.",
            fix=f"Name the folder by a number and give the one above: {base.parent}.",
        )
    if not base.is_dir():
        raise ServingError("TIP519", f"There is no folder {base}.", fix="Give the model's base path.")
    if not version_folders(base):
        raise ServingError(
            "TIP519",
            f"{base} holds no version of a model.",
            cause="A version is a folder that is named by a number.",
            fix=f"Export a SavedModel to {base / '1'}.",
        )


def _share_of(count: int) -> str:
    """Replicas share the cores of this machine: else each would have a thread for every one."""
    return f"--tensorflow_intra_op_parallelism={max(1, (os.cpu_count() or 1) // count)}"


def _end(replica: ServerReplica) -> None:
    replica.process.terminate()
    try:
        replica.process.wait(35.0)
    except subprocess.TimeoutExpired:
        replica.process.kill()
        replica.process.wait()
    replica.close()


def serve_forever(model_base_path: str | Path, *, report: Report = lambda text: None, **options: Any) -> int:
    """:func:`serve` until SIGINT or SIGTERM; ``report`` is told the address. Returns 0: the exit code.

    Call it from the main thread. Options and errors are those of :func:`serve`.
    """
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        with serve(model_base_path, report=report, stop=stop, **options) as serving:
            report(f"serving {serving.name} at {serving.url}/v1/models/{serving.name}")
            if serving.grpc_address:
                report(f"gRPC at {serving.grpc_address}")
            stop.wait()
            report("stopping")
    except _Stopped:
        report("stopped before it was ready")
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    return 0
