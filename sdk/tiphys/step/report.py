"""What a step tells while it runs: a line of JSON for each call, in the file ``$TIPHYS_REPORT``.

Every line is one ``write`` to the end of the file: what was told is there whatever ends the program, an OOM kill or
``kill -9`` too. A program without Python writes the lines itself, for example
``echo '{"epoch": 3, "of": 10, "accuracy": 0.91}' >> "$TIPHYS_REPORT"``. Of a line ``at`` (seconds since the epoch),
``epoch``, ``of`` and ``worker`` mean what they say, every other number is a value; what is no such line is skipped by
who reads it. Nothing here is imported by a step that does not report.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from types import ModuleType
from typing import SupportsFloat

from tiphys.errors import RefusedError

__all__ = ["REPORT", "SUMMARY", "keras_report", "report", "told_by", "worker_name"]

REPORT = "TIPHYS_REPORT"
"""The variable with the path of the file."""
SUMMARY = "TIPHYS_SUMMARY"
"""The variable with the path of a file that the last of all values are to be in: a JSON object of at most 4 KiB."""
PROGRESS = "ARGO_PROGRESS_FILE"
_RESERVED = ("at", "worker", "node", "event", "memory", "peak_memory", "cpu", "received", "sent")
_LONGEST = 4096  # bytes of a line, and of the summary

_said: set[str] = set()  # what was said on stderr
_whole: set[str] = set()  # files that end with the end of a line
_last: dict[str, float] = {}


def report(*, epoch: int | None = None, of: int | None = None, **values: SupportsFloat) -> None:
    """Tell numbers: ``report(epoch=3, of=10, accuracy=0.91, examples=60000)``.

    ``epoch`` counts from 1 and ``of`` is how many there are: both together are how far the step is, which Argo shows.
    A value is a finite number, or what ``float()`` takes (a NumPy scalar, a tensor of one element). Each worker of a
    gang tells its own. Where there is no file to write to nothing is written; a file that cannot be written is said
    once on stderr, and never ends the step.

    Raises RefusedError TIP244 for what is no finite number, or cannot be a name.
    """
    line: dict[str, float] = {"at": round(time.time(), 3)}
    for name, count in (("epoch", epoch), ("of", of)):
        if count is not None:
            line[name] = _count(name, count)
    if epoch is not None and of is not None and epoch > of:
        raise _refused(f"epoch={epoch} of={of}", "the last epoch is the last")
    for name, value in values.items():
        if name in _RESERVED:
            raise _refused(f"{name}={value!r}", f"{name!r} is measured, or is of the line itself")
        line[name] = _number(name, value)
    data = json.dumps(line, separators=(", ", ": ")).encode()
    if len(data) >= _LONGEST:
        raise _refused(f"{len(values)} values", f"a report has at most {_LONGEST} bytes")
    if path := os.environ.get(REPORT):
        _append(told_by(path, worker_name()), data + b"\n")
    if (path := os.environ.get(PROGRESS)) and epoch is not None and of:
        _replace(path, f"{epoch}/{of}\n".encode())
    if path := os.environ.get(SUMMARY):
        _replace(path, _summary(line))


def worker_name() -> str:
    """Which replica of a gang this process is (``worker-1``), by ``TF_CONFIG``, PyTorch's rank or a Job's
    index; empty: it is alone."""
    try:
        task = json.loads(os.environ.get("TF_CONFIG") or "null")["task"]
        return f"{task['type']}-{int(task['index'])}" if str(task["type"]).isalpha() else ""
    except (ValueError, TypeError, LookupError):
        index, rank = (os.environ.get(each, "") for each in ("JOB_COMPLETION_INDEX", "PET_NODE_RANK"))
        if rank.isdecimal() and os.environ.get("PET_NNODES", "1") != "1":  # of a PyTorchJob
            return f"worker-{int(rank) - 1}" if int(rank) else "master-0"
        return f"worker-{int(index)}" if index.isdecimal() else ""


def told_by(path: str, worker: str) -> str:
    """The file of a worker: ``x.worker-1.jsonl`` for ``x.jsonl``."""
    if not worker:
        return path
    stem = path.removesuffix(".jsonl")
    return f"{stem}.{worker}{path[len(stem) :]}"


def keras_report(keras: ModuleType | None = None) -> object:
    """A callback for ``model.fit`` that reports each epoch: its number, its seconds, and every number in Keras' logs.

    Made for the Keras that is in use: ``keras``, or the one that has been imported (``tf_keras`` where both are).
    Raises RefusedError TIP245 when there is none.
    """
    found = keras or sys.modules.get("tf_keras") or sys.modules.get("keras")
    if found is None:
        raise RefusedError(
            "TIP245",
            "there is no Keras to report of",
            cause="neither tf_keras nor keras is imported",
            fix="import the one that trains before, or give it: keras_report(keras)",
        )
    base: type = found.callbacks.Callback

    class Report(base):  # type: ignore[misc, valid-type, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self._supports_tf_logs = False
            self._began = time.monotonic()

        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            self._began = time.monotonic()

        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            values = {"seconds": round(time.monotonic() - self._began, 3)}
            for name, value in dict(logs or {}).items():  # type: ignore[call-overload]
                if name not in (*_RESERVED, "epoch", "of") and (number := _finite(value)) is not None:
                    values[name] = number
            report(epoch=epoch + 1, of=max(int((self.params or {}).get("epochs") or 0), epoch + 1), **values)

    return Report()


# -- inside -------------------------------------------------------------------------------------------------------


def _number(name: str, value: SupportsFloat) -> float:
    number = _finite(value)
    if number is None:
        raise _refused(f"{name}={value!r}"[:200], "a value is a finite number")
    return number


def _finite(value: object) -> float | None:
    if isinstance(value, str | bytes | bool) or not hasattr(value, "__float__"):
        return int(value) if isinstance(value, bool) else None
    try:
        number = float(value)
    except (
        TypeError,
        ValueError,
        OverflowError,
    ):  # an array of several numbers; a whole number beyond all bounds
        return None
    if not math.isfinite(number):
        return None
    return value if isinstance(value, int) else number


def _count(name: str, value: int) -> int:
    number = _finite(value)
    if number is None or number != int(number) or number < 0:
        raise _refused(f"{name}={value!r}"[:200], "it counts from 1")
    return int(number)


def _refused(what: str, cause: str) -> RefusedError:
    return RefusedError(
        "TIP244",
        f"report({what}) cannot be told",
        cause=cause,
        fix="give finite numbers under names of your own: report(epoch=3, of=10, accuracy=0.91)",
    )


def _append(path: str, data: bytes) -> None:
    try:
        descriptor = _open(path)
        try:
            if path not in _whole and not _ends_whole(path):  # whoever wrote here before was killed meanwhile
                data = b"\n" + data
            _whole.discard(path)
            if os.write(descriptor, data) == len(data):
                _whole.add(path)
            else:
                _say(path, "there is no space left")
        finally:
            os.close(descriptor)
    except OSError as error:
        _say(path, error.strerror or str(error))


def _open(path: str) -> int:
    flags = (
        os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    )  # never wait for who reads a pipe
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, flags, 0o666)


def _ends_whole(path: str) -> bool:
    with open(path, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - 1, 0))
        return stream.read(1) in (b"", b"\n")


def _replace(path: str, data: bytes) -> None:
    """Write a small file so that who reads it finds the old or the new one."""
    temporary = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        try:
            with open(temporary, "wb") as stream:
                stream.write(data)
            os.replace(temporary, path)
        except PermissionError:  # the file may be written where its folder may not
            with open(path, "wb") as stream:
                stream.write(data)
    except OSError as error:
        _say(path, error.strerror or str(error))


def _summary(line: dict[str, float]) -> bytes:
    """The last of each value, as many as fit: those told last come first."""
    for name, value in line.items():
        if name not in ("at", "epoch", "of"):
            _last.pop(name, None)
            _last[name] = value
    kept: dict[str, float] = {}
    for name in reversed(_last):
        if len(json.dumps({**kept, name: _last[name]})) > _LONGEST:
            break
        kept[name] = _last[name]
    return json.dumps(kept, sort_keys=True).encode()


def _say(path: str, why: str) -> None:
    if path not in _said:
        _said.add(path)
        sys.stderr.write(f"tiphys: what is reported is lost, {path} cannot be written: {why}\n")
