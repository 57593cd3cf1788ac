"""Who asked for what: a line for each request that changes something, in ``audit.jsonl`` of the server's folder."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path

from tiphys.argo.time import rfc3339

__all__ = ["Audit"]

log = logging.getLogger("tiphys.server")


class Audit:
    """``path``: the file, which only its owner can read; without one nothing is written."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    def write(self, user: str, method: str, path: str, answer: int) -> None:
        """One line: when, who, what, and the number of the answer. A disk that is full is told in the log."""
        if self._path is None:
            return
        line = {"time": rfc3339(time.time()), "user": user, "method": method, "path": path, "answer": answer}
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(file, json.dumps(line).encode() + b"\n")
            finally:
                os.close(file)
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error)
