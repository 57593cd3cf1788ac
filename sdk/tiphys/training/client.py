"""The client of the training service."""

from __future__ import annotations

import builtins
import os
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from tiphys.argo.parameters import as_text
from tiphys.errors import TrainingServiceError
from tiphys.training.convert import (
    ERROR_KEY,
    algorithm_of,
    error_of,
    job_of,
    wire_algorithm,
    wire_request,
)
from tiphys.training.job import ENDED, Algorithm, JobState, TrainingJob, TrainingRequest
from tiphys.training.proto import training_service_pb2 as wire
from tiphys.training.proto import training_service_pb2_grpc as generated

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["TrainingClient"]

T = TypeVar("T")
_ADDRESS = "localhost:6823"
_PAUSE = 2.0  # seconds, the longest between two tries


class TrainingClient:
    """Queue trainings, look at them, and end them.

    >>> client = TrainingClient("localhost:6823")                                           # doctest: +SKIP
    >>> job = client.train("cnn", parameters={"epochs": 3}, output_model_name="fashion-mnist")
    >>> client.wait(job.id, timeout=3600).model
    'fashion-mnist@1'

    Parameters
    ----------
    address
        ``host:port`` of its gRPC; without one ``TIPHYS_TRAINING``, else ``localhost:6823``.
    token
        The bearer token; without one ``TIPHYS_TRAINING_TOKEN``.
    retry
        Seconds for which a call is tried again while nobody answers: a service that is started anew loses no call. A
        request to train has an id of its own, so that it is one job however often it was sent.

    Methods raise TrainingServiceError with the service's own code, and TIP825 when nobody answers.
    """

    def __init__(self, address: str = "", *, token: str = "", retry: float = 30.0) -> None:
        self.address = address or os.environ.get("TIPHYS_TRAINING", "") or _ADDRESS
        token = token or os.environ.get("TIPHYS_TRAINING_TOKEN", "")
        self._headers = [("authorization", f"Bearer {token}")] if token else []
        self._retry = retry
        options = [
            ("grpc.enable_retries", 0),  # we try again, and know which calls may be
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
            ("grpc.use_local_subchannel_pool", 1),
            # a service whose machine vanished is heard of, also by who watches
            ("grpc.keepalive_time_ms", 30_000),
        ]
        self._channel = grpc.insecure_channel(self.address, options)
        self._stub: Any = generated.TrainingServiceStub(self._channel)  # type: ignore[no-untyped-call]

    def __enter__(self) -> TrainingClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        self._channel.close()

    # -- jobs -------------------------------------------------------------------------------------------------

    def train(
        self,
        algorithm: str,
        *,
        name: str = "",
        dataset_id: str = "",
        dataset_version: str = "",
        parameters: Mapping[str, object] | None = None,
        output_model_name: str = "",
        pool: str = "",
        priority: int = 0,
        request_id: str = "",
    ) -> TrainingJob:
        """Queue a training; it is on the service's disk when this returns."""
        request = TrainingRequest(
            algorithm=algorithm,
            name=name,
            dataset_id=dataset_id,
            dataset_version=dataset_version,
            parameters={key: as_text(value) for key, value in (parameters or {}).items()},
            output_model_name=output_model_name,
            request_id=request_id or uuid.uuid4().hex,
            pool=pool,
            priority=priority,
        )
        asked = _made(lambda: wire.TrainRequest(metadata=wire_request(request)))
        number = self._call(lambda: self._stub.Train(asked, metadata=self._headers, timeout=30)).job_id
        return replace(TrainingJob(number, request, "", pool, 0, ""), created=time.time())

    def status(self, job: int) -> TrainingJob:
        """A job as it is."""
        return self.standing(job)[0]

    def standing(self, job: int) -> tuple[TrainingJob, int]:
        """A job as it is, and how many are to begin before it, and itself; 0: it is not queued."""
        asked = _made(lambda: wire.GetTrainingStatusRequest(job_id=job))
        found = self._call(lambda: self._stub.GetTrainingStatus(asked, metadata=self._headers, timeout=30))
        return job_of(found), found.positionInQueue

    def watch(self, job: int) -> Iterator[TrainingJob]:
        """The job as it is, and each time that it has changed, until it has ended."""
        last: TrainingJob | None = None
        asked = _made(lambda: wire.GetTrainingStatusRequest(job_id=job))
        until = time.monotonic() + self._retry
        pause = 0.1
        while last is None or last.state not in ENDED:
            try:
                for status in self._stub.WatchStatus(asked, metadata=self._headers):
                    until, pause = time.monotonic() + self._retry, 0.1
                    found = job_of(status)
                    if found != last:
                        last = found
                        yield found
            except grpc.RpcError as error:
                self._again(error, until)
            if last is None or last.state not in ENDED:
                time.sleep(pause)
                pause = min(pause * 2, _PAUSE)

    def wait(self, job: int, *, timeout: float | None = None) -> TrainingJob:
        """The job when it has ended. Raises TrainingServiceError TIP827 after ``timeout`` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        pause = 0.05
        while True:
            found = self.status(job)
            if found.state in ENDED:
                return found
            if end is not None and time.monotonic() >= end:
                raise TrainingServiceError(
                    "TIP827",
                    f"job {job} has not ended after {timeout:g} s: it is {found.state.name}",
                    cause=found.message,
                    fix="wait longer, or cancel it",
                )
            time.sleep(pause if end is None else max(0.0, min(pause, end - time.monotonic())))
            pause = min(pause * 1.5, _PAUSE)

    def cancel(self, job: int) -> TrainingJob:
        """Take it out of the queue, or ask for its end."""
        asked = _made(lambda: wire.CancelRequest(job_id=job))
        return job_of(self._call(lambda: self._stub.Cancel(asked, metadata=self._headers, timeout=30)))

    def list(
        self,
        *,
        pool: str = "",
        user: str = "",
        states: Sequence[JobState] = (),
        limit: int = 100,
        before: int = 0,
    ) -> builtins.list[TrainingJob]:
        """The jobs of one's pools, the newest first; ``before``: older than the job of this number."""
        wanted = [wire.TrainingStatus.ValueType(int(each)) for each in states]
        asked = _made(
            lambda: wire.ListRequest(pool=pool, user=user, status=wanted, limit=limit, before=before)
        )
        found = self._call(lambda: self._stub.List(asked, metadata=self._headers, timeout=30))
        return [job_of(each) for each in found.jobs]

    def logs(self, job: int, *, follow: bool = False) -> Iterator[tuple[str, str]]:
        """What its containers wrote: which one, and a line."""
        asked = _made(lambda: wire.LogsRequest(job_id=job, follow=follow))
        told, until, pause = 0, time.monotonic() + self._retry, 0.1
        while True:
            try:
                for place, line in enumerate(self._stub.Logs(asked, metadata=self._headers)):
                    until, pause = time.monotonic() + self._retry, 0.1
                    if place == told:  # after a break they come again from the first one on
                        told += 1
                        yield line.source, line.text
                return
            except grpc.RpcError as error:
                self._again(error, until)
            time.sleep(pause)
            pause = min(pause * 2, _PAUSE)

    # -- algorithms and pools ---------------------------------------------------------------------------------

    def create_algorithm(self, algorithm: Algorithm) -> Algorithm:
        """Version 1 of a new one."""
        tries: builtins.list[Any] = []
        try:
            return self._algorithm(self._stub.CreateAlgorithmMapping, algorithm, tries)
        except TrainingServiceError as error:
            if error.code != "TIP805" or len(tries) == 1:
                raise
            first = self.algorithms(algorithm.name)[-1]  # one whose answer was lost may have made it
            wanted = algorithm_of(wire_algorithm(algorithm))
            if replace(first, created=0.0) != replace(wanted, version=1, created=0.0):
                raise
            return first

    def update_algorithm(self, algorithm: Algorithm) -> Algorithm:
        """The next version; jobs that are queued keep theirs."""
        return self._algorithm(self._stub.UpdateAlgorithmVersion, algorithm)

    def algorithms(self, name: str = "") -> builtins.list[Algorithm]:
        """The newest version of each; of one ``name`` all versions, the newest first."""
        asked = wire.ListAlgorithmsRequest(name=name)
        found = self._call(lambda: self._stub.ListAlgorithms(asked, metadata=self._headers, timeout=30))
        return [algorithm_of(each) for each in found.algorithms]

    def pools(self) -> builtins.list[dict[str, object]]:
        """One's pools: ``name``, ``namespace``, ``size``, ``used``, ``queued``, ``running``."""
        asked = wire.ListPoolsRequest()
        found = self._call(lambda: self._stub.ListPools(asked, metadata=self._headers, timeout=30))
        return [
            {
                "name": each.name,
                "namespace": each.namespace,
                "size": dict(each.size),
                "used": dict(each.used),
                "queued": each.queued,
                "running": each.running,
            }
            for each in found.pools
        ]

    # -- inside -----------------------------------------------------------------------------------------------

    def _algorithm(
        self, call: Callable[..., Any], algorithm: Algorithm, tries: builtins.list[Any] | None = None
    ) -> Algorithm:

        asked = _made(lambda: wire.AlgorithmRequest(algorithm=wire_algorithm(algorithm)))

        def ask() -> Any:
            if tries is not None:
                tries.append(asked)
            return call(asked, metadata=self._headers, timeout=30)

        return algorithm_of(self._call(ask))

    def _call(self, call: Callable[[], T]) -> T:
        """What a call answers, which is tried again while nobody does."""
        until = time.monotonic() + self._retry
        pause = 0.05
        while True:
            try:
                return call()
            except grpc.RpcError as error:
                self._again(error, until)
            time.sleep(random.uniform(pause / 2, pause))
            pause = min(pause * 2, _PAUSE)

    def _again(self, error: Any, until: float) -> None:
        """Raise the error when a new try is of no use, or the time is over."""
        codes = grpc.StatusCode
        lost = error.code() in (codes.UNAVAILABLE, codes.DEADLINE_EXCEEDED, codes.CANCELLED)
        if not lost or time.monotonic() >= until:
            raise self._told(error) from None

    def _told(self, error: Any) -> TrainingServiceError:

        for key, value in error.trailing_metadata() or ():
            if key == ERROR_KEY and (found := error_of(bytes(value).decode("utf-8", "replace"))) is not None:
                return found
        return TrainingServiceError(
            "TIP825",
            f"the training service at {self.address} does not answer: {error.code().name}",
            cause=str(error.details() or "")[:500],
            fix="start it: tiphys training-service; or say where it is: TIPHYS_TRAINING=HOST:PORT",
        )


def _made(make: Callable[[], T]) -> T:
    """A message. Raises TrainingServiceError TIP821 for a number or a text that no message carries."""
    try:
        return make()
    except (ValueError, TypeError) as error:
        raise TrainingServiceError("TIP821", f"this cannot be asked for: {str(error)[:300]}") from None
