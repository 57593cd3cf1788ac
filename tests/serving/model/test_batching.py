"""The queue before a model: merging, order, limits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tiphys.serving.model import Code, ModelError, Signature, Tensor
from tiphys.serving.model.batching import QUEUE_FULL, BatchParameters, BatchRunner
from tiphys.serving.model.servable import TensorInfo


class Held:
    """A servable (y = 2x) whose calls wait until they are let go; remembers the batches it saw."""

    def __init__(self, held: bool = True) -> None:
        self.go = threading.Event()
        if not held:
            self.go.set()
        self.entered = threading.Semaphore(0)
        self.batches: list[list[float]] = []

    @property
    def signatures(self) -> Mapping[str, Signature]:
        row, one = TensorInfo("DT_FLOAT", (-1,)), TensorInfo("DT_FLOAT", (1,))
        return {
            "s": Signature({"x": row}, {"y": row}),
            "closed": Signature({"x": row}, {"y": one}),
            "unknown": Signature({"x": TensorInfo("DT_FLOAT", None)}, {"y": row}),
        }

    def run(self, signature: str, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        x = inputs["x"]
        self.batches.append(list(x.values))
        self.entered.release()
        assert self.go.wait(20)
        if any(value < 0 for value in x.values):
            raise ModelError(Code.INVALID_ARGUMENT, "negative")
        if signature == "flat":
            return {"y": Tensor("DT_FLOAT", (1,), [0.0])}
        return {"y": Tensor("DT_FLOAT", x.shape, [2 * value for value in x.values])}

    def close(self) -> None:
        pass


def floats(*values: float, shape: tuple[int, ...] | None = None) -> dict[str, Tensor]:
    return {"x": Tensor("DT_FLOAT", shape or (len(values),), list(values))}


def run(scenario: Callable[[BatchRunner], Any], servable: Held, **parameters: Any) -> Any:
    async def main() -> Any:
        with ThreadPoolExecutor(4) as executor:
            runner = BatchRunner(
                servable, executor, BatchParameters(**{"enabled": True, "num_batch_threads": 1, **parameters})
            )
            try:
                return await scenario(runner)
            finally:
                servable.go.set()
                await runner.close()

    return asyncio.run(asyncio.wait_for(main(), 30))


async def entered(servable: Held) -> None:
    """Wait until the model is inside a call."""
    assert await asyncio.to_thread(servable.entered.acquire, True, 10)


def test_requests_that_wait_are_merged_and_split_again() -> None:
    servable = Held()

    async def scenario(runner: BatchRunner) -> None:
        first = asyncio.create_task(runner.run("s", floats(1)))
        await entered(servable)
        others = [asyncio.create_task(runner.run("s", floats(*v))) for v in ([2, 3], [4], [5, 6])]
        await asyncio.sleep(0)
        servable.go.set()
        assert (await first)["y"].values == [2]
        results = [await task for task in others]
        assert [r["y"].values for r in results] == [[4, 6], [8], [10, 12]]
        assert [r["y"].shape for r in results] == [(2,), (1,), (2,)]

    run(scenario, servable)
    assert servable.batches == [[1], [2, 3, 4, 5, 6]]


def test_without_batching_each_goes_by_itself() -> None:
    servable = Held(held=False)

    async def scenario(runner: BatchRunner) -> None:
        await asyncio.gather(*(runner.run("s", floats(v)) for v in (1, 2, 3)))

    run(scenario, servable, enabled=False)
    assert sorted(servable.batches) == [[1], [2], [3]]


def test_what_differs_in_shape_or_signature_is_not_merged() -> None:
    servable = Held()

    async def scenario(runner: BatchRunner) -> None:
        tasks = [asyncio.create_task(runner.run("s", floats(0)))]
        await entered(servable)
        wide = floats(1, 2, shape=(1, 2))
        for signature, inputs in (("s", floats(3)), ("s", wide), ("t", floats(4)), ("s", floats(5))):
            tasks.append(asyncio.create_task(runner.run(signature, inputs)))
        await asyncio.sleep(0)
        servable.go.set()
        await asyncio.gather(*tasks)

    run(scenario, servable)
    assert servable.batches == [[0], [3, 5], [1, 2], [4]]


def test_batches_are_not_larger_than_allowed_and_large_requests_go_alone() -> None:
    servable = Held()

    async def scenario(runner: BatchRunner) -> None:
        tasks = [asyncio.create_task(runner.run("s", floats(0)))]
        await entered(servable)
        for values in ([1, 2], [3, 4], [5, 6, 7, 8, 9], [10]):
            tasks.append(asyncio.create_task(runner.run("s", floats(*values))))
        await asyncio.sleep(0)
        servable.go.set()
        results = await asyncio.gather(*tasks)
        assert results[3]["y"].values == [10, 12, 14, 16, 18]

    run(scenario, servable, max_batch_size=4)
    assert servable.batches == [[0], [1, 2, 3, 4], [5, 6, 7, 8, 9], [10]]


def test_allowed_batch_sizes_pad_with_the_first_row() -> None:
    servable = Held(held=False)

    async def scenario(runner: BatchRunner) -> None:
        result = await runner.run("s", floats(7, 8, 9))
        assert (result["y"].shape, result["y"].values) == ((3,), [14, 16, 18])

    run(scenario, servable, max_batch_size=4, allowed_batch_sizes=(2, 4))
    assert servable.batches == [[7, 8, 9, 7]]


def test_one_bad_request_does_not_fail_the_others() -> None:
    servable = Held()

    async def scenario(runner: BatchRunner) -> None:
        first = asyncio.create_task(runner.run("s", floats(0)))
        await entered(servable)
        good = asyncio.create_task(runner.run("s", floats(1)))
        bad = asyncio.create_task(runner.run("s", floats(-1)))
        await asyncio.sleep(0)
        servable.go.set()
        await first
        assert (await good)["y"].values == [2]
        with pytest.raises(ModelError, match="negative"):
            await bad

    run(scenario, servable)


def test_an_output_that_is_not_batched_still_answers_each() -> None:
    servable = Held()

    async def scenario(runner: BatchRunner) -> None:
        tasks = [asyncio.create_task(runner.run("flat", floats(0)))]
        await entered(servable)
        tasks += [asyncio.create_task(runner.run("flat", floats(v, v))) for v in (1, 2)]
        await asyncio.sleep(0)
        servable.go.set()
        assert [r["y"].values for r in await asyncio.gather(*tasks)] == [[0.0]] * 3

    run(scenario, servable)


@pytest.mark.parametrize("enabled", [True, False])
def test_a_full_queue_turns_requests_away(enabled: bool) -> None:
    servable = Held()

    async def scenario(runner: BatchRunner) -> None:
        tasks = [asyncio.create_task(runner.run("s", floats(0)))]
        await entered(servable)
        tasks += [asyncio.create_task(runner.run("s", floats(v))) for v in (1, 2)]
        await asyncio.sleep(0)
        assert runner.queued == 2
        with pytest.raises(ModelError) as caught:
            await runner.run("s", floats(3))
        assert caught.value.code is Code.UNAVAILABLE
        assert caught.value.message.startswith("The batch scheduling queue")
        servable.go.set()
        assert [r["y"].values for r in await asyncio.gather(*tasks)] == [[0], [2], [4]]
        assert (await runner.run("s", floats(3)))["y"].values == [6]  # there is room again

    sizes = {"max_batch_size": 1} if enabled else {}
    run(scenario, servable, enabled=enabled, max_enqueued_batches=2, **sizes)


def test_a_request_that_gave_up_is_not_run() -> None:
    servable = Held()

    async def scenario(runner: BatchRunner) -> None:
        first = asyncio.create_task(runner.run("s", floats(0)))
        await entered(servable)
        with pytest.raises(ModelError) as caught:
            await runner.run("s", floats(1), timeout=0.01)
        assert caught.value.code is Code.DEADLINE_EXCEEDED
        servable.go.set()
        await first
        await runner.run("s", floats(2))

    run(scenario, servable)
    assert servable.batches == [[0], [2]]


def test_a_batch_waits_for_more_until_its_time_is_up() -> None:
    servable = Held(held=False)

    async def scenario(runner: BatchRunner) -> None:
        first = asyncio.create_task(runner.run("s", floats(1)))
        await asyncio.sleep(0)
        await asyncio.gather(first, runner.run("s", floats(2)))

    run(scenario, servable, batch_timeout_micros=50_000)
    assert servable.batches == [[1, 2]]


def test_a_full_batch_does_not_wait() -> None:
    servable = Held(held=False)

    async def scenario(runner: BatchRunner) -> None:
        await asyncio.gather(*(runner.run("s", floats(v)) for v in (1, 2)))

    run(scenario, servable, batch_timeout_micros=3_600_000_000, max_batch_size=2)
    assert servable.batches == [[1, 2]]


def test_closing_gives_an_answer_to_all() -> None:
    servable = Held()

    async def scenario(runner: BatchRunner) -> None:
        tasks = [asyncio.create_task(runner.run("s", floats(v))) for v in (0, 1)]
        await entered(servable)
        await runner.close()
        servable.go.set()
        for task in tasks:
            with pytest.raises(ModelError, match="stopping"):
                await task

    run(scenario, servable)


@pytest.mark.parametrize("signature", ["closed", "unknown"])
def test_by_itself_it_merges_what_is_open_alone(signature: str) -> None:
    servable = Held()

    async def scenario(runner: BatchRunner) -> None:
        tasks = [asyncio.create_task(runner.run("s", floats(1)))]
        await entered(servable)
        tasks += [asyncio.create_task(runner.run("s", floats(value))) for value in (2, 3)]
        tasks += [asyncio.create_task(runner.run(signature, floats(value))) for value in (4, 5)]
        await entered(servable)
        await entered(servable)  # of another kind: it waits for nobody
        servable.go.set()
        await asyncio.gather(*tasks)

    run(scenario, servable, open_only=True, num_batch_threads=3)
    assert servable.batches == [[1], [4], [5], [2, 3]]


def test_a_batch_that_waits_for_the_one_before_it_waits_in_a_queue_that_ends() -> None:
    servable = Held()

    async def scenario(runner: BatchRunner) -> None:
        tasks = [asyncio.create_task(runner.run("s", floats(0)))]
        await entered(servable)
        tasks += [asyncio.create_task(runner.run("s", floats(value))) for value in range(1, 9)]
        await asyncio.sleep(0)
        with pytest.raises(ModelError, match=QUEUE_FULL):
            await runner.run("s", floats(9))
        servable.go.set()
        await asyncio.gather(*tasks)

    run(scenario, servable, open_only=True, num_batch_threads=3, max_batch_size=4, max_enqueued_batches=2)
    assert servable.batches == [[0], [1, 2, 3, 4], [5, 6, 7, 8]]


class Watched(Held):
    """Tells in which threads it ran; ``seconds``: how long it takes."""

    def __init__(self) -> None:
        super().__init__(held=False)
        self.threads: list[bool] = []
        self.seconds = 0.0

    def run(self, signature: str, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        self.threads.append(threading.current_thread() is threading.main_thread())
        time.sleep(self.seconds)
        return super().run(signature, inputs)


def test_who_is_alone_and_answered_at_once_needs_no_thread() -> None:
    servable = Watched()

    async def scenario(runner: BatchRunner) -> None:
        async def ask(*values: float, alone: bool = True) -> bool:
            runner.alone = lambda: alone
            told = await runner.run("s", floats(*values))
            assert told["y"].values == [2 * value for value in values]
            return servable.threads[-1]

        assert not await ask(1, 2)  # nobody knows yet how long it takes
        while not await ask(1, 2):  # this machine may be busy
            pass
        assert not await ask(1, 2, alone=False)
        assert not await ask(*range(100))  # of so many nobody knows
        servable.seconds = 0.05
        while await ask(1, 2):
            pass
        servable.seconds = 0
        for _ in range(20):  # others have waited: for a hundred times as long it is not tried again
            assert not await ask(1, 2)
        with pytest.raises(ModelError, match="negative"):
            runner.alone = lambda: True
            await runner.run("s", floats(-1))

    run(scenario, servable)
    assert set(servable.threads) == {True, False}


@pytest.mark.parametrize("parameters", [{"allowed_batch_sizes": (2, 1000)}, {"batch_timeout_micros": 1000}])
def test_what_is_to_be_padded_or_to_wait_is_never_run_at_once(parameters: dict[str, Any]) -> None:
    servable = Watched()

    async def scenario(runner: BatchRunner) -> None:
        for _ in range(20):
            runner.alone = lambda: True
            await runner.run("s", floats(1, 2))

    run(scenario, servable, **parameters)
    assert servable.threads == [False] * 20
