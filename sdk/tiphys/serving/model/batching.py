"""Runs requests on a model: a bounded queue, a few threads, and batches when asked for.

The names of the parameters, their defaults and the meaning of a full queue are those of TensorFlow Serving's
batching (tensorflow_serving/batching/README.md). Without batching the same queue and threads are used, each
request by itself.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from tiphys.serving.model.servable import Code, ModelError, Servable, Tensor, Values

__all__ = ["BatchParameters", "BatchRunner"]

Outputs = dict[str, Tensor]
_Key = tuple[object, ...]

_QUICK = 0.002  # seconds: so long others may wait for one that is run on the loop
_REST = 100  # times as long as it took: so long a model is not run there that made others wait

QUEUE_FULL = "The batch scheduling queue to which this task was submitted is full"


@dataclass(frozen=True, slots=True)
class BatchParameters:
    """``enabled`` False: requests are not merged, ``max_enqueued_batches`` counts requests. ``open_only``: those alone
    are merged whose signature has an open first dimension in all that goes in and comes out, and a batch waits for the
    one before it: what comes meanwhile is one batch, not several."""

    enabled: bool = False
    open_only: bool = False
    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    num_batch_threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    max_enqueued_batches: int = 10
    allowed_batch_sizes: tuple[int, ...] = ()

    @property
    def capacity(self) -> int:
        """Rows (or requests) that may wait."""
        return self.max_enqueued_batches * (self.max_batch_size if self.enabled else 1)


@dataclass(slots=True, eq=False)
class _Task:
    key: _Key
    signature: str
    inputs: Mapping[str, Tensor]
    rows: int
    future: asyncio.Future[Outputs]
    since: float


class BatchRunner:
    """The queue of one loaded version. Lives on one event loop; ``executor`` gives the threads. ``alone``: whether
    nobody waits for an answer but whoever is asking."""

    def __init__(
        self,
        servable: Servable,
        executor: Executor,
        parameters: BatchParameters,
        alone: Callable[[], bool] = lambda: False,
    ) -> None:
        self.servable = servable
        self.parameters = parameters
        self.alone = alone
        self._executor = executor
        self._queue: deque[_Task] = deque()
        self._queued_rows = 0
        self._free = parameters.num_batch_threads
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[None]] = set()
        self.batches = self.batched_rows = 0
        self._open: dict[str, bool] = {}
        self._merging: set[_Key] = set()  # kinds of which a batch runs, where the next one waits for it
        self._quick = 0  # values of a request that the model answers at once
        self._rests_until = 0.0

    @property
    def queued(self) -> int:
        return len(self._queue)

    async def run(
        self, signature: str, inputs: Mapping[str, Tensor], timeout: float | None = None
    ) -> Outputs:
        """Run a request. Raises ModelError; UNAVAILABLE when the queue is full, DEADLINE_EXCEEDED when it
        is not done in ``timeout`` seconds."""
        loop = asyncio.get_running_loop()
        parameters = self.parameters
        if self._quick and self.alone() and not self._closed and (size := _size(inputs)) <= self._quick:
            return self._at_once(signature, inputs, size)
        rows = 0
        key: _Key = ()
        if parameters.enabled and (not parameters.open_only or self._is_open(signature)):
            rows, key = _batchable(signature, inputs)
        weight = max(rows, 1) if parameters.enabled else 1
        full = self._free <= 0 or (key and key in self._merging)
        if full and self._queued_rows + weight > max(parameters.capacity, weight):
            raise ModelError(Code.UNAVAILABLE, QUEUE_FULL)
        if full and self._queued_rows >= parameters.capacity:
            raise ModelError(Code.UNAVAILABLE, QUEUE_FULL)
        task = _Task(key, signature, inputs, weight, loop.create_future(), loop.time())
        self._queue.append(task)
        self._queued_rows += weight
        self._dispatch(loop)
        timer = loop.call_later(timeout, _expire, task.future) if timeout else None
        try:
            return await task.future
        finally:
            if timer is not None:
                timer.cancel()

    def _is_open(self, signature: str) -> bool:
        known = self._open.get(signature)
        if known is None:
            told = self.servable.signatures.get(signature)
            shapes = (
                []
                if told is None
                else [each.shape for each in (*told.inputs.values(), *told.outputs.values())]
            )
            known = bool(shapes) and all(shape and shape[0] == -1 for shape in shapes)
            if told is not None:
                self._open[signature] = known
        return known

    async def close(self) -> None:
        """Give up what still waits or runs."""
        self._closed = True
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        while self._queue:
            waiting = self._queue.popleft().future
            if not waiting.done():
                waiting.set_exception(ModelError(Code.UNAVAILABLE, "The server is stopping"))

    # ---- the queue
    def _dispatch(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._free > 0 and self._queue and not self._closed:
            batch = self._take(loop.time())
            if batch is None:
                return
            if batch:
                self._free -= 1
                task = loop.create_task(self._execute(batch))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    def _take(self, now: float) -> list[_Task] | None:
        """The next batch; empty when all were given up; None when it pays to wait for more."""
        while self._queue and self._queue[0].future.done():
            self._queued_rows -= self._queue.popleft().rows
        if not self._queue:
            return []
        first = self._queue[0]
        if self._merging and first.key in self._merging:
            found = next((task for task in self._queue if task.key not in self._merging), None)
            if found is None:
                return None
            first = found
        parameters = self.parameters
        if not first.key:
            self._queue.remove(first)
            self._queued_rows -= first.rows
            return [first]
        chosen: list[_Task] = []
        rows = 0
        for task in self._queue:
            if task.key == first.key and not task.future.done():
                if chosen and rows + task.rows > parameters.max_batch_size:
                    break
                chosen.append(task)
                rows += task.rows
        wait = first.since + parameters.batch_timeout_micros / 1e6 - now
        if rows < parameters.max_batch_size and wait > 0:
            self._wake_in(wait)
            return None
        members = set(map(id, chosen))
        self._queue = deque(task for task in self._queue if id(task) not in members)
        self._queued_rows = sum(task.rows for task in self._queue)
        return chosen

    def _wake_in(self, seconds: float) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()

            def wake() -> None:
                self._timer = None
                self._dispatch(loop)

            self._timer = loop.call_later(seconds, wake)

    async def _execute(self, batch: list[_Task]) -> None:
        loop = asyncio.get_running_loop()
        self.batches += 1
        self.batched_rows += sum(task.rows for task in batch)
        if self.parameters.open_only and batch[0].key:
            self._merging.add(batch[0].key)
        try:
            results = await loop.run_in_executor(self._executor, self._compute, batch)
        except (asyncio.CancelledError, RuntimeError):  # closed, or the executor is shut down
            results = [ModelError(Code.UNAVAILABLE, "The server is stopping")] * len(batch)
        self._free += 1
        self._merging.discard(batch[0].key)
        for task, result in zip(batch, results, strict=True):
            if task.future.done():
                continue
            if isinstance(result, ModelError):
                task.future.set_exception(result)
            else:
                task.future.set_result(result)
        self._dispatch(loop)

    def _at_once(self, signature: str, inputs: Mapping[str, Tensor], size: int) -> Outputs:
        self.batches += 1
        self.batched_rows += 1
        found, took = self._timed(signature, inputs, size)
        if took > 5 * _QUICK:
            self._rests_until = time.monotonic() + (_REST - 1) * took
        if isinstance(found, ModelError):
            raise found
        return found

    def _took(self, size: int, seconds: float) -> None:
        if self.parameters.allowed_batch_sizes or self.parameters.batch_timeout_micros:
            return  # it is to be padded, or to wait for others
        if seconds > _QUICK:
            self._quick = min(self._quick, size // 2)
        elif size > self._quick and time.monotonic() > self._rests_until:
            self._quick = size

    # ---- in a thread
    def _compute(self, batch: list[_Task]) -> Sequence[Outputs | ModelError]:
        if len(batch) == 1 and not self.parameters.allowed_batch_sizes:
            (task,) = batch
            return [self._timed(task.signature, task.inputs, _size(task.inputs))[0]]
        try:
            return self._merged(batch)
        except ModelError as error:
            if len(batch) == 1:
                return [error]
            # one bad request must not fail the others
            return [self._single(task.signature, task.inputs) for task in batch]

    def _timed(
        self, signature: str, inputs: Mapping[str, Tensor], size: int
    ) -> tuple[Outputs | ModelError, float]:
        """What came of it, and the seconds that it took."""
        began = time.monotonic()
        found = self._single(signature, inputs)
        took = time.monotonic() - began
        self._took(size, took)
        return found, took

    def _single(self, signature: str, inputs: Mapping[str, Tensor]) -> Outputs | ModelError:
        try:
            return self.servable.run(signature, inputs)
        except ModelError as error:
            return error
        except Exception as error:  # noqa: BLE001 - a bug in the model's code is the client's INTERNAL
            return ModelError(Code.INTERNAL, f"{type(error).__name__}: {error}")

    def _merged(self, batch: list[_Task]) -> list[Outputs]:
        sizes = [task.rows for task in batch]
        total = sum(sizes)
        if not batch[0].key:
            return [self.servable.run(batch[0].signature, batch[0].inputs)]
        padded = min((size for size in self.parameters.allowed_batch_sizes if size >= total), default=total)
        merged = {
            name: _concat([task.inputs[name] for task in batch], padded - total) for name in batch[0].inputs
        }
        try:
            outputs = self.servable.run(batch[0].signature, merged)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(Code.INTERNAL, f"{type(error).__name__}: {error}") from error
        for name, tensor in outputs.items():
            if not tensor.shape or tensor.shape[0] != padded:
                raise ModelError(
                    Code.FAILED_PRECONDITION,
                    "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes "
                    f"of the input tensors: {name}",
                )
        return _split(outputs, sizes)


def _size(inputs: Mapping[str, Tensor]) -> int:
    """Of the values, in numbers or bytes of text."""
    return sum(
        sum(map(len, tensor.values)) if tensor.dtype == "DT_STRING" else len(tensor.values)
        for tensor in inputs.values()
    )


def _batchable(signature: str, inputs: Mapping[str, Tensor]) -> tuple[int, _Key]:
    """The rows of a request, and what must be equal for requests to be merged; an empty key: never."""
    rows = {tensor.shape[0] if tensor.shape else -1 for tensor in inputs.values()}
    if len(rows) != 1 or (size := rows.pop()) < 1:
        return 1, ()
    kinds = sorted((name, tensor.dtype, tensor.shape[1:]) for name, tensor in inputs.items())
    return size, (signature, *kinds)


def _concat(tensors: list[Tensor], padding: int) -> Tensor:
    first = tensors[0]
    parts: list[Values] = [tensor.values for tensor in tensors]
    rows = sum(tensor.shape[0] for tensor in tensors)
    if padding:
        width = len(first.values) // first.shape[0]
        parts.extend([first.values[:width]] * padding)
    if len({type(part) for part in parts}) > 1:
        parts = [list(part) for part in parts]
    if isinstance(parts[0], bytes):
        values: Values = b"".join(parts)  # type: ignore[arg-type]
    else:
        values = parts[0][:]
        for part in parts[1:]:
            values += part  # type: ignore[operator]
    return Tensor(first.dtype, (rows + padding, *first.shape[1:]), values)


def _split(outputs: Outputs, sizes: list[int]) -> list[Outputs]:
    results: list[Outputs] = [{} for _ in sizes]
    for name, tensor in outputs.items():
        width = len(tensor.values) // tensor.shape[0] if tensor.shape[0] else 0
        start = 0
        for result, size in zip(results, sizes, strict=True):
            stop = start + size * width
            result[name] = Tensor(tensor.dtype, (size, *tensor.shape[1:]), tensor.values[start:stop])
            start = stop
    return results


def _expire(future: asyncio.Future[Outputs]) -> None:
    if not future.done():
        future.set_exception(ModelError(Code.DEADLINE_EXCEEDED, "Timed out waiting for notification"))
