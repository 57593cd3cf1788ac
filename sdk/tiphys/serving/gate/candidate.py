"""The server that is started for a candidate alone: how long it loads and answers, and how much memory it has."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from tiphys.errors import ServingError
from tiphys.serving.client import ServingClient
from tiphys.serving.replica import start_replica

if TYPE_CHECKING:
    from tiphys.jsontypes import Json, JsonObject

__all__ = ["TrialServer", "best_p99", "percentile"]

_NAME = "candidate"
_SLOWEST = 30.0  # seconds for one answer


class TrialServer:
    """``python -m tiphys.serving`` with one model, on loopback; ends with the ``with``, or when this process ends.

    Entering raises ServingError TIP518 when it ends or does not answer within ``load_seconds``.
    """

    def __init__(self, folder: Path, load_seconds: float) -> None:
        self._folder, self._limit = folder, load_seconds
        self.load_seconds = 0.0
        self._replica = start_replica(_NAME, folder, ["--max_num_load_retries=0"])
        self._client = ServingClient(f"http://{self._replica.address}", _NAME, timeout=_SLOWEST)

    def __enter__(self) -> TrialServer:
        try:
            self._load()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _load(self) -> None:
        began = time.monotonic()
        while True:
            code = self._replica.process.poll()
            if code is not None:
                why = f"its server ended with exit code {code}"
                raise ServingError("TIP518", "The candidate does not load.", cause=f"{why}: {self._said()}")
            try:
                self._client.wait_ready(0.1)
            except ServingError as error:
                if time.monotonic() - began > self._limit:
                    why = f"no answer within {self._limit:g} s ({error.cause})"
                    raise ServingError("TIP518", "The candidate does not load.", cause=why) from error
            else:
                self.load_seconds = time.monotonic() - began
                return

    def metadata(self) -> JsonObject:
        """What the server says of the model's signatures."""
        return self._client.metadata()

    def answer(self, inputs: dict[str, list[Json]]) -> Json:
        """The outputs for columns of inputs. Raises ServingError."""
        outputs: Json = self._client.predict(inputs=inputs, signature="serving_default")
        return outputs

    def peak_bytes(self) -> int:
        """The most memory that the server had in RAM until now (VmHWM of proc(5)); 0 where the system does not say."""
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self._replica.process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return 0

    def _said(self) -> str:
        """The reason among its last words."""
        lines = self._replica.last_lines()
        causes = [line.strip() for line in lines if line.strip().startswith("cause:")]
        return (causes or lines or ["nothing"])[-1].removeprefix("cause:").strip()

    def _end(self) -> None:
        self._client.close()
        process = self._replica.process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # nobody else asks it, there is nothing to drain
        process.wait()
        self._replica.close()


def best_p99(
    ask: Callable[[int], object], requests: int, most: float, rounds: int = 5, warm_up: int = 10
) -> float:
    """The lowest 99th percentile of up to ``rounds`` rounds of ``requests`` calls of ``ask``, in seconds.

    Other work on this machine can only make a round slower, so the best one says most of the model. The first round
    within ``most`` is enough; one that can no longer be within it ends early, and then the result is a lower bound.
    """
    for number in range(warm_up):
        began = time.perf_counter()
        ask(number)
        if time.perf_counter() - began > most > 0:
            break
    best = float("inf")
    for _ in range(rounds):
        taken = _round(ask, requests, most)
        best = min(best, taken)
        if best <= most or most <= 0:
            break
    return best


def _round(ask: Callable[[int], object], requests: int, most: float) -> float:
    taken: list[float] = []
    slow: list[float] = []
    for number in range(requests):
        began = time.perf_counter()
        ask(number)
        taken.append(time.perf_counter() - began)
        if 0 < most < taken[-1]:
            slow.append(taken[-1])
            if len(slow) > requests - _rank(requests):
                return min(slow)
    return percentile(taken)


def percentile(taken: Sequence[float]) -> float:
    """The 99th, by nearest rank: the smallest that 99 of 100 do not exceed."""
    return sorted(taken)[_rank(len(taken)) - 1]


def _rank(many: int) -> int:
    return -(-99 * many // 100)
