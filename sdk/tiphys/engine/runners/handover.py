"""A workflow that a step made leaves the keeper of the run that made it: somebody goes on with it by itself, or nobody.

What of it lives is killed, also beside a living engine, by the marks in the environments of its processes. What had
ended has ended: it is written into the records of the child's own folder.
"""

from __future__ import annotations

import binascii
import signal
import time
from collections.abc import Set as AbstractSet
from pathlib import Path

from tiphys.engine.runners._processes import send
from tiphys.engine.runners.left import RECORDS, Earlier, Left, begin_records

__all__ = ["end_processes", "hand_over"]

_SETTLE = 0.02  # seconds: what has just ended is written down meanwhile
_PATIENCE = 10.0  # seconds for killed processes to be gone


def hand_over(top: Path, child: str, folder: Path) -> None:
    """Take the pods of ``child``, as the records in ``top`` call it, away from the keeper of that run, for the run in
    ``folder``, which the caller holds."""
    left = Left(top)
    marks = {_mark(left, each.number) for each in left.started(child) if each.status is None}
    if marks and send(signal.SIGSTOP, marks.__contains__):  # none ends because another one was killed
        time.sleep(_SETTLE)
        left = Left(top)
    _write(folder, left.started(child))
    _kill(marks)


def end_processes(left: Left, child: str) -> None:
    """Kill what lives of ``child``, and wait until it is gone."""
    _kill({_mark(left, number) for number in left.alive_of(child)})


def _mark(left: Left, number: int) -> bytes:
    return f"{left.token}-{number}".encode()


def _kill(marks: AbstractSet[bytes]) -> None:
    until = time.monotonic() + _PATIENCE
    while marks and send(signal.SIGKILL, marks.__contains__) and time.monotonic() < until:
        time.sleep(_SETTLE)


def _write(folder: Path, started: list[Earlier]) -> None:
    """Append to the records of a run what another keeper had started of it; what has no end is lost."""
    if not started:
        return
    begin_records(folder, "handed-over")
    lines = []
    for each in started:
        note = each.start._replace(child="").note()
        lines.append(f"+ {each.number} {each.pid} {note};\n".encode(errors="surrogatepass"))
        if each.status is not None:
            stdout = binascii.b2a_base64(each.stdout, newline=False)
            lines.append(b"- %d %d %s;\n" % (each.number, each.status, stdout))
    with (folder / RECORDS).open("ab") as stream:
        stream.writelines(lines)
