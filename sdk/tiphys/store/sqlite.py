"""SQLite files that several processes share: opened by many at once, changed in one transaction at a time, and read
without a trace."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from tiphys.store.files import clear, temporary_file

__all__ = [
    "SharedFile",
    "connect",
    "heed_full_disk",
    "lay_out",
    "make",
    "present",
    "reading",
    "transaction",
    "until_free",
]

_OF_READING = (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ)
_NO_MKNOD = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)  # not everywhere for everybody: macOS, some mounts
_PATIENCE = 30.0  # seconds until a file that others use all the time is given up


class SharedFile(sqlite3.Connection):
    """A connection to a file that many write to, who take turns.

    SQLite's own waiting is a poll without an order: under load the unlucky wait until their patience ends. The turn is
    a lock on a file beside it (``NAME.turn``), which the kernel gives in the order of asking, and takes from the dead.
    """

    _beside = ""
    _turn = -1
    _depth = 0

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for as long as it takes, and hold the turn; also within itself. Raises OSError."""
        if self._turn < 0:
            self._turn = os.open(self._beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if not self._depth:
            fcntl.flock(self._turn, fcntl.LOCK_EX)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                fcntl.flock(self._turn, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file, and the one beside it."""
        super().close()
        if self._turn >= 0:
            os.close(self._turn)
            self._turn = -1


def connect(path: Path) -> SharedFile:
    """A connection for several threads, of which one at a time uses it; transactions are begun by hand.

    A new file is for whom the umask says: SQLite makes one that only its owner may write, whatever the umask.
    """
    with contextlib.suppress(OSError):  # SQLite says what is wrong
        make(path, 0o666)
    db = sqlite3.connect(
        path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False, factory=SharedFile
    )
    db._beside = f"{path}.turn"
    return db


def lay_out(path: Path, statements: Iterable[str]) -> None:
    """Make a file with a log (WAL) and what the statements make, for its owner alone: whole, or not at all.

    The disk is waited for once, and by the first who writes (SQLite then flushes the folder, too); made where it lies,
    it would be waited for eight times. Raises OSError, sqlite3.Error.
    """
    descriptor, temporary = temporary_file(path.parent, path.name, private=True)
    try:
        with contextlib.closing(sqlite3.connect(temporary, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous=OFF")
            db.execute("PRAGMA journal_mode=MEMORY")
            with transaction(db):
                for statement in statements:
                    db.execute(statement)
            db.execute("PRAGMA journal_mode=WAL")
        os.fsync(descriptor)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def make(path: Path, mode: int) -> None:
    """Make an empty file where there is none, with the bits of ``mode`` that the umask leaves. Raises OSError.

    It is not opened: a descriptor that is closed takes the locks with it that other connections of this process have on
    the file (POSIX), and another process would remove what they write to (https://sqlite.org/howtocorrupt.html, 2.2).
    """
    with contextlib.suppress(FileExistsError):
        try:
            os.mknod(path, stat.S_IFREG | mode)
        except OSError as error:
            if error.errno not in _NO_MKNOD:
                raise
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode))


def present(path: Path, *, write: bool = False) -> None:
    """Raise OSError, as :func:`os.open` would, for a file that cannot be read, or with ``write`` written: SQLite says
    of all of them that it is unable to open it. The file is not opened, see :func:`make`."""
    directory = stat.S_ISDIR(os.stat(path).st_mode)
    if directory and write:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not os.access(
        path, os.R_OK | (os.W_OK if write else 0), effective_ids=os.access in os.supports_effective_ids
    ):
        closed = write and os.statvfs(path).f_flag & os.ST_RDONLY
        raise OSError(number := errno.EROFS if closed else errno.EACCES, os.strerror(number), str(path))


def heed_full_disk(error: Exception, path: Path) -> None:
    """Raise StoreError TIP411 for an error of SQLite that comes of a full disk, quota or file size limit.

    It says "full" of its own pages only: of its log and what is beside it, "I/O error" (https://sqlite.org/rescode.html),
    and where a file cannot be made, as for any other reason, that it cannot open it.
    """
    if path.exists() and not path.is_file():
        return  # a device takes no database
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
    written = code & 0xFF == sqlite3.SQLITE_IOERR and code not in _OF_READING
    if (
        code & 0xFF == sqlite3.SQLITE_FULL
        or written
        or (code & 0xFF == sqlite3.SQLITE_CANTOPEN and _is_full(path))
    ):
        with clear(path):
            raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} ({error})") from error


def _is_full(path: Path) -> bool:
    room = os.statvfs(path.parent)
    return not room.f_bavail or (room.f_files > 0 and not room.f_favail)


def until_free(prepare: Callable[[], None]) -> None:
    """Prepare a file, and again while it is locked.

    Of several that open a new file at once, one changes it to a write-ahead log; SQLite tells the others "locked" at
    once, without the patience that it has elsewhere (https://www.sqlite.org/c3ref/busy_handler.html: the handler is not
    called where waiting could be a deadlock). Raises sqlite3.OperationalError when it stays locked, or for anything
    else.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            prepare()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.005)


def reading(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing: no file is made beside the one that is read, nothing is taken over into it.

    A file whose writer is gone and left no log is read as it is; one with a log is read with it. Where the log
    cannot be shared (a folder that is read-only or somebody else's), a copy is read. Raises sqlite3.Error and OSError.
    """
    log, shared = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
    if not (log.exists() and log.stat().st_size):
        return _open(path, "immutable=1")
    if shared.exists():
        db = _open(path, "mode=ro")
        try:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return db
        except sqlite3.OperationalError as error:
            db.close()
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                raise
    return _copied(path, log)


def _open(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path))}?{how}",
        uri=True,
        timeout=_PATIENCE,
        isolation_level=None,
        check_same_thread=False,
    )


def _copied(path: Path, log: Path) -> sqlite3.Connection:
    """What the two files held at one moment, in memory."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy.db")
        while True:
            before = _stamps(path, log)
            shutil.copyfile(path, copy)
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(log, copy.with_name("copy.db-wal"))
            if _stamps(path, log) == before:
                break
        memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        with contextlib.closing(sqlite3.connect(copy)) as source:
            source.backup(memory)
    return memory


def _stamps(*paths: Path) -> list[tuple[int, int] | None]:
    found: list[tuple[int, int] | None] = []
    for path in paths:
        try:
            state = path.stat()
        except FileNotFoundError:
            found.append(None)
        else:
            found.append((state.st_mtime_ns, state.st_size))
    return found


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All that is done in the block is written, or nothing. Of a :class:`SharedFile` file it waits for its turn."""
    with db.turn() if isinstance(db, SharedFile) else contextlib.nullcontext():
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            if db.in_transaction:  # a full disk has ended it
                db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
