"""The calls of the training service on the wire's messages, whatever carries them: gRPC or REST.

What waits for a disk or a cluster does so in a thread; who watches a job waits for news without one.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Callable
from typing import ParamSpec, TypeVar

from tiphys.errors import TrainingServiceError
from tiphys.training.convert import (
    algorithm_of,
    request_of,
    wire_algorithm,
    wire_pools,
    wire_status,
)
from tiphys.training.job import ENDED, JobState
from tiphys.training.proto import training_service_pb2 as wire
from tiphys.training.service import TrainingService

__all__ = ["TrainingCalls"]

P = ParamSpec("P")
T = TypeVar("T")
_FOLLOWERS = 64  # who read logs at once: each has a thread
_REST = 0.1  # seconds between two looks of one who watches
_LONGEST = 10.0  # seconds without news after which a job is looked at again


class TrainingCalls:
    """Every method raises TiphysError. ``token``: what follows ``Bearer``; empty for none."""

    def __init__(self, service: TrainingService) -> None:
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._followers = threading.Semaphore(_FOLLOWERS)
        self._ringing = False
        service.on_change(self._heard)

    def _heard(self) -> None:
        if not self._ringing:  # many changes at once are one piece of news
            self._ringing = True
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        self._ringing = False
        self._news.set()
        self._news = asyncio.Event()

    def _user(self, token: str) -> str:
        return self._service.rules().who(token)

    async def train(self, request: wire.TrainRequest, token: str) -> wire.TrainResponse:
        job = await _in_thread(self._service.train, request_of(request.metadata), self._user(token))
        return wire.TrainResponse(job_id=job.id)

    async def status(
        self, request: wire.GetTrainingStatusRequest, token: str
    ) -> wire.GetTrainingStatusResponse:
        return await _in_thread(self._status, request.job_id, self._user(token))

    def _status(self, number: int, user: str) -> wire.GetTrainingStatusResponse:
        job = self._service.status(number, user)
        return wire_status(job, self._service.position(number))

    async def watch(
        self, request: wire.GetTrainingStatusRequest, token: str
    ) -> AsyncIterator[wire.GetTrainingStatusResponse]:
        user, last = self._user(token), None
        while True:
            news = self._news
            status = await _in_thread(self._status, request.job_id, user)
            if status != last:
                last = status
                yield status
            if JobState(int(status.status)) in ENDED:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LONGEST):
                    await news.wait()
            await asyncio.sleep(_REST)

    async def cancel(self, request: wire.CancelRequest, token: str) -> wire.GetTrainingStatusResponse:
        user = self._user(token)
        await _in_thread(self._service.cancel, request.job_id, user)
        return await _in_thread(self._status, request.job_id, user)

    async def list(self, request: wire.ListRequest, token: str) -> wire.ListResponse:
        user = self._user(token)

        def found() -> wire.ListResponse:
            jobs = self._service.list(
                user,
                pool=request.pool,
                of_user=request.user,
                states=[_state(each) for each in request.status],
                limit=request.limit,
                before=request.before,
            )
            return wire.ListResponse(jobs=[wire_status(job, self._service.position(job.id)) for job in jobs])

        return await _in_thread(found)

    async def logs(self, request: wire.LogsRequest, token: str) -> AsyncIterator[wire.LogLine]:
        """Raises TrainingServiceError TIP820 when too many read logs."""
        lines = await _in_thread(self._service.logs, request.job_id, self._user(token), follow=request.follow)
        if not self._followers.acquire(blocking=False):
            raise TrainingServiceError("TIP820", f"{_FOLLOWERS} read logs already", fix="try again later")
        made: queue.Queue[wire.LogLine | BaseException | None] = queue.Queue(1000)
        gone = threading.Event()

        def put(item: wire.LogLine | BaseException | None) -> None:
            while not gone.is_set():
                with contextlib.suppress(queue.Full):
                    return made.put(item, timeout=0.5)

        def read() -> None:
            try:
                for line in lines:
                    put(wire.LogLine(source=line.source, text=line.text))
                    if gone.is_set():
                        break
                put(None)
            except BaseException as error:  # noqa: BLE001  it is raised where it is waited for
                put(error)
            finally:
                self._followers.release()

        threading.Thread(target=read, daemon=True, name="logs").start()
        try:
            while True:
                try:
                    item = made.get_nowait()
                except queue.Empty:
                    await asyncio.sleep(_REST / 2)
                    continue
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            gone.set()

    async def create_algorithm(self, request: wire.AlgorithmRequest, token: str) -> wire.Algorithm:
        user = self._user(token)
        made = await _in_thread(self._service.create_algorithm, algorithm_of(request.algorithm), user)
        return wire_algorithm(made)

    async def update_algorithm(self, request: wire.AlgorithmRequest, token: str) -> wire.Algorithm:
        user = self._user(token)
        made = await _in_thread(self._service.update_algorithm, algorithm_of(request.algorithm), user)
        return wire_algorithm(made)

    async def algorithms(
        self, request: wire.ListAlgorithmsRequest, token: str
    ) -> wire.ListAlgorithmsResponse:
        self._user(token)
        found = await _in_thread(self._service.algorithms, request.name)
        return wire.ListAlgorithmsResponse(algorithms=[wire_algorithm(each) for each in found])

    async def pools(self, request: wire.ListPoolsRequest, token: str) -> wire.ListPoolsResponse:
        return wire_pools(await _in_thread(self._service.pools, self._user(token)))


async def _in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return await asyncio.to_thread(call, *args, **kwargs)


def _state(value: int) -> JobState:
    try:
        return JobState(value)
    except ValueError:
        raise TrainingServiceError(
            "TIP821", f"{value} is no status of a job", fix=f"0 to {max(JobState).value}"
        ) from None
