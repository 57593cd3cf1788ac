"""The stdout of steps whose end is kept, and where the heir of a killed keeper finds it.

Imported by ``_keeper.py``, which runs without tiphys.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Container, Iterator

if __package__:
    from tiphys.engine.runners._processes import received
else:  # beside ``_keeper.py``
    from _processes import received  # type: ignore[import-not-found,no-redef]

__all__ = ["APPEND", "CHUNK", "Deposit", "Stdout"]

CHUNK = 1 << 16
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
_PIPE = 1 << 20  # bytes that a pipe can hold
_HEAD = struct.Struct("<Q")  # of a ring: up to where its log has what is in it


class Stdout:
    """What a process writes to its stdout: it goes to its log, too, and the last ``size`` bytes are kept.

    All that there is of it lies in the kernel: who has the descriptors has everything. Bytes are spliced from the pipe
    into a ring (a file in memory), so that they are in one of the two, whenever the keeper is killed. The ring's length
    tells whether it has gone round, and the position of its descriptor where it goes on.
    """

    def __init__(self, reader: int, ring: int, log: int, size: int) -> None:
        self.reader, self.ring, self.log, self.size = reader, ring, log, size
        self.room = max(4 * size, 2 * CHUNK)  # of the ring

    @classmethod
    def opened(cls, out: str, size: int) -> tuple[Stdout, int]:
        """One for a process that is about to start, which logs to ``out``, and the pipe's other end.

        The process is to open that for reading, too: a pipe that its reader holds itself has a reader when its keeper
        was killed, and who writes to it waits for the next.
        """
        found: list[int] = []
        try:
            found += os.pipe2(os.O_CLOEXEC)
            os.set_blocking(found[0], False)
            found.append(os.memfd_create("stdout", os.MFD_CLOEXEC))
            os.lseek(found[2], os.write(found[2], _HEAD.pack(0)), os.SEEK_SET)
            found.append(os.open(out, APPEND | os.O_CLOEXEC, 0o644))
        except OSError:
            for each in found:
                os.close(each)
            raise
        reader, writer, ring, log = found
        return cls(reader, ring, log, size), writer

    def read(self, chunks: int = 4) -> bool:
        """Take what is there, but not all of what is written meanwhile; False when there will be no more."""
        self.pass_on()
        with contextlib.suppress(BlockingIOError):
            for _ in range(chunks):
                most = min(CHUNK, self.room - self._position())
                if not os.splice(self.reader, self.ring, most, flags=os.SPLICE_F_NONBLOCK):
                    return False
                self.pass_on()
        return True

    def pass_on(self) -> None:
        """Let the log have what it has not: also that which a killed keeper had just taken."""
        (done,) = _HEAD.unpack(os.pread(self.ring, _HEAD.size, 0))
        position = self._position()
        if done != position:
            with contextlib.suppress(OSError):  # a full disk
                os.write(self.log, self._at(done, position - done))
        if position == self.room:
            position = 0
            os.lseek(self.ring, _HEAD.size, os.SEEK_SET)
        if done != position:
            os.pwrite(self.ring, _HEAD.pack(position), 0)

    def end(self) -> bytes:
        """The last bytes that were written, of a process that has ended."""
        with contextlib.suppress(OSError):
            self.read(_PIPE // CHUNK)
        position = self._position()
        before = self._at(position, self.room - position) if self._length() == self.room else b""
        return (before + self._at(0, position))[-self.size :]

    def close(self) -> None:
        for each in (self.reader, self.ring, self.log):
            os.close(each)

    def _position(self) -> int:
        return os.lseek(self.ring, 0, os.SEEK_CUR) - _HEAD.size

    def _length(self) -> int:
        return os.fstat(self.ring).st_size - _HEAD.size

    def _at(self, position: int, count: int) -> bytes:
        return os.pread(self.ring, count, _HEAD.size + position)


class Deposit:
    """Descriptors that outlive who has put them there: they lie in a socket whose two ends both processes hold."""

    def __init__(self) -> None:
        # never waited for
        self._in, self._out = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        self._lying = 0

    def put(self, number: int, stdout: Stdout) -> None:
        """Of the process ``number``. Where there is no room for more, its end is lost with this keeper."""
        descriptors = [stdout.reader, stdout.ring, stdout.log]
        with contextlib.suppress(OSError):
            word = b"%d %d" % (number, stdout.size)
            socket.send_fds(self._in, [word], descriptors)
            self._lying += 1

    def tidy(self, living: dict[int, Stdout]) -> None:
        """Leave there only what is of those that live, once much else lies there."""
        lying = self._lying
        if lying > 2 * len(living) + 32:
            for number, stdout in living.items():  # first, so that what lives is there at every moment
                self.put(number, stdout)
            for _, stdout in self._taken(lying):
                stdout.close()

    def take(self, wanted: Container[int]) -> dict[int, Stdout]:
        """All that lies there of the processes ``wanted``."""
        found: dict[int, Stdout] = {}
        for number, stdout in self._taken():
            if number in wanted and number not in found:
                found[number] = stdout
            else:
                stdout.close()
        return found

    def close(self) -> None:
        for _, stdout in self._taken():
            stdout.close()
        self._in.close()
        self._out.close()

    def _taken(self, most: int = -1) -> Iterator[tuple[int, Stdout]]:
        with contextlib.suppress(BlockingIOError):
            while most:
                most -= 1
                word, descriptors = received(self._out, 64, 3)
                self._lying -= 1
                number, size = map(int, word.split())
                if len(descriptors) == 3:
                    yield number, Stdout(descriptors[0], descriptors[1], descriptors[2], size)
                else:  # this process may open no more
                    for each in descriptors:
                        os.close(each)
