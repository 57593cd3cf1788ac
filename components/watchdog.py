"""A worker never hangs: signals end it at once, and so does a silence that is too long.

TensorFlow blocks in native code while it waits for a peer, where Python's signal handlers do not run. So the signals
are taken by a thread of their own, and another one watches that the training goes on.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

__all__ = ["RETRY", "Watchdog", "end"]

RETRY = 138


class Watchdog:
    """Ends the process with 138 when :meth:`alive` was not called for the seconds that it last allowed."""

    def __init__(self) -> None:
        self.started = False
        self._deadline = float("inf")
        self._what = ""
        self._changed = threading.Condition()

    def start(self) -> None:
        """Take over SIGTERM, SIGINT and SIGHUP (exit code 128 + number) and start to watch. Main thread only."""
        self.started = True
        taken = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
        signal.pthread_sigmask(signal.SIG_BLOCK, taken)
        threading.Thread(target=self._take_signals, args=(taken,), daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()

    def alive(self, what: str, seconds: float) -> None:
        """Say what is being done now, and that it may take ``seconds`` before the next call."""
        with self._changed:
            self._what, self._deadline = what, time.monotonic() + seconds
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while True:
                left = self._deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(left, 3600.0))
        end(
            RETRY,
            f"TIP715: nothing moved for too long while {self._what}; ending so that the job restarts this worker",
        )

    @staticmethod
    def _take_signals(taken: set[signal.Signals]) -> None:
        number = signal.sigwait(taken)
        end(
            128 + number,
            f"stopped by {signal.Signals(number).name}; a later run resumes from the last backup",
        )


def end(code: int, message: str) -> None:
    """End the process at once, whatever its threads do."""
    sys.stderr.write(message + "\n")
    sys.stderr.flush()
    os._exit(code)
