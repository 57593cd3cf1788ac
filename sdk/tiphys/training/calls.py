"""The calls of the training service on the wire's messages, whatever carries them: gRPC or REST.

What waits for a disk or a cluster does so in a thread; who watches a job waits for news without one.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
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
_THREADS = 32  # calls that wait for the disk or a cluster at once: they share the commits
_FOLLOWERS = 64  # who read logs at once: each has a thread
_REST = 0.1  # seconds between two looks of one who watches
_LONGEST = 10.0  # seconds without news after which a job is looked at again


class TrainingCalls:
    """Every method raises TiphysError. ``token``: what follows ``Bearer``; empty for none."""

    def __init__(self, service: TrainingService, *, private: bool = True) -> None:
        """``private``: only programs of this machine reach it, so that without users nobody needs a token."""
        self._service, self._private = service, private
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="call")
        self._closing = False
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

    def close(self) -> None:
        """End those who watch or follow: they ask again, and find the next service."""
        self._closing = True
        self._ring()

    @property
    def without_tokens(self) -> bool:
        """Whether whoever reaches it is the user of the operating system."""
        return not self._service.rules().users

    def _user(self, token: str) -> str:
        rules = self._service.rules()
        if (
            not rules.users and not self._private
        ):  # they were taken out of the file after the service had begun
            raise TrainingServiceError(
                "TIP801",
                "the service knows no users any more",
                cause="training.toml names none, and this service is reached from other machines",
                fix="have training.toml name them again",
            )
        return rules.who(token)

    def _go_on(self) -> None:
        if self._closing:
            raise TrainingServiceError("TIP808", "the training service ends", fix="ask again")

    async def _in_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._loop.run_in_executor(self._threads, partial(call, *args, **kwargs))

    async def train(self, request: wire.TrainRequest, token: str) -> wire.TrainResponse:
        job = await self._in_thread(self._service.train, request_of(request.metadata), self._user(token))
        return wire.TrainResponse(job_id=job.id)

    async def status(
        self, request: wire.GetTrainingStatusRequest, token: str
    ) -> wire.GetTrainingStatusResponse:
        return await self._in_thread(self._status, request.job_id, self._user(token))

    def _status(self, number: int, user: str) -> wire.GetTrainingStatusResponse:
        job = self._service.status(number, user)
        return wire_status(job, self._service.position(number))

    async def watch(
        self, request: wire.GetTrainingStatusRequest, token: str
    ) -> AsyncIterator[wire.GetTrainingStatusResponse]:
        user, last = self._user(token), None
        while True:
            news = self._news
            status = await self._in_thread(self._status, request.job_id, user)
            if status != last:
                last = status
                yield status
            if JobState(int(status.status)) in ENDED:
                return
            self._go_on()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LONGEST):
                    await news.wait()
            if not self._closing:
                await asyncio.sleep(_REST)

    async def cancel(self, request: wire.CancelRequest, token: str) -> wire.GetTrainingStatusResponse:
        user = self._user(token)
        await self._in_thread(self._service.cancel, request.job_id, user)
        return await self._in_thread(self._status, request.job_id, user)

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

        return await self._in_thread(found)

    async def logs(self, request: wire.LogsRequest, token: str) -> AsyncIterator[wire.LogLine]:
        """Raises TrainingServiceError TIP820 when too many read logs."""
        lines = await self._in_thread(
            self._service.logs, request.job_id, self._user(token), follow=request.follow
        )
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
                    self._go_on()
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
        made = await self._in_thread(self._service.create_algorithm, algorithm_of(request.algorithm), user)
        return wire_algorithm(made)

    async def update_algorithm(self, request: wire.AlgorithmRequest, token: str) -> wire.Algorithm:
        user = self._user(token)
        made = await self._in_thread(self._service.update_algorithm, algorithm_of(request.algorithm), user)
        return wire_algorithm(made)

    async def algorithms(
        self, request: wire.ListAlgorithmsRequest, token: str
    ) -> wire.ListAlgorithmsResponse:
        self._user(token)
        found = await self._in_thread(self._service.algorithms, request.name)
        return wire.ListAlgorithmsResponse(algorithms=[wire_algorithm(each) for each in found])

    async def pools(self, request: wire.ListPoolsRequest, token: str) -> wire.ListPoolsResponse:
        return wire_pools(await self._in_thread(self._service.pools, self._user(token)))


def _state(value: int) -> JobState:
    try:
        return JobState(value)
    except ValueError:
        raise TrainingServiceError(
            "TIP821", f"{value} is no status of a job", fix=f"0 to {max(JobState).value}"
        ) from None
