"""Ways to get the four Fashion-MNIST files into a folder, each checked against the pinned SHA-256.

A way either fills the folder with the four raw idx files or raises ComponentError. Compressed or not, and from
wherever, the content must be the pinned one.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import urlsplit

from components.catalog import DEBIAN_PACKAGE, FILES, IdxFile
from components.publish import writing
from tiphys.errors import ComponentError
from tiphys.reference import resolve

__all__ = ["APT_SECONDS", "DOWNLOAD_SECONDS", "from_apt", "from_folder", "from_uri"]

DOWNLOAD_SECONDS = 180.0
APT_SECONDS = 180.0
_CONNECT_SECONDS = 6.0
_CHUNK = 1 << 20

Opener = Callable[[str], IO[bytes]]


def from_folder(source: Path, into: Path) -> None:
    """Copy the four files from a folder, each as ``NAME.gz`` or ``NAME``. Raises TIP702 or TIP703."""
    if not source.is_dir():
        what = "is not a folder" if source.exists() else "does not exist"
        raise ComponentError("TIP703", f"the data folder {source} {what}", fix=_SUPPLY)

    def read(name: str) -> IO[bytes]:
        return (source / name).open("rb")

    _fetch(read, str(source), into)


def from_uri(uri: str, into: Path, *, seconds: float = DOWNLOAD_SECONDS) -> None:
    """Fetch the four files from a base URI: ``file``, ``pvc``, ``http``, ``https``, or what fsspec knows.

    A host that cannot be reached fails within seconds, and the whole within ``seconds``. Raises TIP701 to TIP703.
    """
    scheme = urlsplit(uri).scheme
    if scheme in ("file", "pvc"):
        from_folder(resolve(uri), into)
    elif scheme in ("http", "https"):
        _from_http(uri, into, seconds)
    else:
        _from_fsspec(uri, into)


def from_apt(into: Path, *, seconds: float = APT_SECONDS) -> None:
    """Take the files out of Debian's package, downloaded by apt with private folders: no root, nothing installed.

    The lists that the machine has are tried first; when they do not know the package, lists are fetched into a
    temporary folder. Raises TIP701.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise ComponentError("TIP701", f"{tool} is not here (not a Debian system)")
    deadline = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="tiphys-apt-") as name:
        work = Path(name)
        options = _apt_folders(work)
        network = [
            "-o",
            "Acquire::http::Timeout=10",
            "-o",
            "Acquire::https::Timeout=10",
            "-o",
            "Acquire::Retries=1",
        ]
        download = ["apt-get", "-q", *network, "-o", f"Dir::Cache={work}/cache", "download", DEBIAN_PACKAGE]
        first = _command(download, work, deadline)
        if first is not None:
            _command(["apt-get", "-q", *network, *options, "update"], work, deadline)
            second = _command(
                ["apt-get", "-q", *network, *options, "download", DEBIAN_PACKAGE], work, deadline
            )
            if second is not None:
                raise ComponentError("TIP701", f"apt-get download {DEBIAN_PACKAGE} failed", cause=second)
        packages = sorted(work.glob(f"{DEBIAN_PACKAGE}_*.deb"))
        failure = (
            _command(["dpkg-deb", "-x", str(packages[0]), "x"], work, deadline)
            if packages
            else "no .deb came"
        )
        if failure is not None:
            raise ComponentError("TIP701", f"the package {DEBIAN_PACKAGE} cannot be unpacked", cause=failure)
        from_folder(work / "x/usr/share/datasets/fashion-mnist", into)


_SUPPLY = (
    "give the folder (or its URI) that holds "
    + ", ".join(file.name + "[.gz]" for file in FILES)
    + " as the parameter `source`"
)


def _fetch(read: Opener, source: str, into: Path) -> None:
    """Get each file through ``read(name)``, which raises FileNotFoundError for an unknown name."""
    for file in sorted(FILES, key=lambda item: item.size):  # the small ones first: a bad source fails quickly
        for name in (file.name + ".gz", file.name):
            try:
                stream = read(name)
            except FileNotFoundError:
                continue
            with contextlib.closing(stream):
                _store(stream, file, f"{source.rstrip('/')}/{name}", into)
            break
        else:
            raise ComponentError(
                "TIP703", f"the data file {file.name}[.gz] is missing", where=source, fix=_SUPPLY
            )


def _store(stream: IO[bytes], file: IdxFile, where: str, into: Path) -> None:
    """Write the raw content of ``stream`` to ``into``; stop as soon as it is seen not to be the pinned content."""
    digest, size = hashlib.sha256(), 0
    with writing(into), (into / file.name).open("wb") as target:
        try:
            for block in _blocks(stream, where):
                digest.update(block)
                size += len(block)
                if size > file.size:
                    break
                target.write(block)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _wrong(file, where, f"its gzip stream is damaged or cut off ({error})") from error
    if size != file.size:
        amount = f"more than {file.size}" if size > file.size else f"{size} of {file.size}"
        raise _wrong(file, where, f"its content has {amount} bytes")
    if digest.hexdigest() != file.sha256:
        raise _wrong(file, where, f"its SHA-256 is {digest.hexdigest()}, expected {file.sha256}")


def _blocks(stream: IO[bytes], where: str) -> Any:
    """The raw content of ``stream`` in blocks, decompressed when it is gzip."""
    head = stream.read(2)
    if head != b"\x1f\x8b":
        yield head
        while block := stream.read(_CHUNK):
            yield block
        return
    inflate = zlib.decompressobj(wbits=31)
    block = head + stream.read(_CHUNK)
    while block:
        while block:
            yield inflate.decompress(block, _CHUNK)
            block = inflate.unconsumed_tail
        if inflate.eof:
            return
        block = stream.read(_CHUNK)
    yield inflate.flush()
    if not inflate.eof:
        raise EOFError("it ends too early")


def _from_http(uri: str, into: Path, seconds: float) -> None:
    host = urlsplit(uri).hostname or ""
    if not urllib.request.getproxies().get(urlsplit(uri).scheme):
        _resolve_host(host)
    deadline = time.monotonic() + seconds

    def read(name: str) -> IO[bytes]:
        try:
            answer = urllib.request.urlopen(uri.rstrip("/") + "/" + name, timeout=_CONNECT_SECONDS)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (403, 404):  # S3 says 403 for a key that is not there
                raise FileNotFoundError(name) from error
            raise _unreachable(uri, f"HTTP {error.code} {error.reason}") from error
        except (OSError, ValueError) as error:
            raise _unreachable(uri, str(getattr(error, "reason", error))) from error
        return cast("IO[bytes]", _Timed(answer, deadline, uri))

    _fetch(read, uri, into)


class _Timed:
    """A response that raises TIP701 when it is cut off or takes longer than the deadline."""

    def __init__(self, stream: IO[bytes], deadline: float, uri: str) -> None:
        self._stream, self._deadline, self._uri = stream, deadline, uri

    def read(self, size: int) -> bytes:
        if time.monotonic() > self._deadline:
            raise _unreachable(self._uri, "the download is too slow and was given up")
        try:
            return self._stream.read(min(size, 1 << 16))
        except OSError as error:
            raise _unreachable(self._uri, f"the connection broke: {error}") from error

    def close(self) -> None:
        self._stream.close()


def _resolve_host(host: str) -> None:
    """Look the name up, waiting no longer than for a connection: a resolver without network can take a minute."""
    outcome: list[OSError | None] = []

    def look_up() -> None:
        try:
            socket.getaddrinfo(host, None)
            outcome.append(None)
        except OSError as error:
            outcome.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(_CONNECT_SECONDS)
    if not outcome:
        raise _unreachable(host, "its name was not resolved in time")
    if outcome[0] is not None:
        raise _unreachable(host, f"its name is not resolved: {outcome[0].strerror or outcome[0]}")


def _from_fsspec(uri: str, into: Path) -> None:
    try:
        fsspec = importlib.import_module("fsspec")
    except ImportError as error:
        raise ComponentError(
            "TIP701",
            f"the source {uri!r} needs fsspec, which is not installed",
            fix="pip install fsspec and its package for this scheme (s3:// needs s3fs), or give a folder or http URI",
        ) from error

    def read(name: str) -> IO[bytes]:
        try:
            return cast("IO[bytes]", fsspec.open(uri.rstrip("/") + "/" + name, "rb").open())
        except FileNotFoundError:
            raise
        except Exception as error:  # each fsspec back end has exceptions of its own
            raise _unreachable(uri, f"{type(error).__name__}: {error}") from error

    _fetch(read, uri, into)


def _apt_folders(work: Path) -> list[str]:
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    return [
        "-o", f"Dir::State={work}/state",
        "-o", f"Dir::State::lists={work}/state/lists",
        "-o", "Dir::State::status=/var/lib/dpkg/status",
        "-o", f"Dir::Cache={work}/cache",
        "-o", "Debug::NoLocking=1",
        "-o", f"APT::Sandbox::User={_user()}",
    ]  # fmt: skip


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return "root"


def _command(command: Sequence[str], folder: Path, deadline: float) -> str | None:
    """Run ``command``; None when it succeeded, else why not. The whole process group ends at the deadline."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=max(1.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return "it took too long and was given up"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    if process.returncode == 0:
        return None
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    errors = (
        [line for line in lines if line.startswith("E:")] or lines[-1:] or [f"exit code {process.returncode}"]
    )
    return "; ".join(errors[:2])


def _unreachable(uri: str, cause: str) -> ComponentError:
    return ComponentError("TIP701", f"{uri} cannot be reached", cause=cause, fix=_SUPPLY)


def _wrong(file: IdxFile, where: str, cause: str) -> ComponentError:
    return ComponentError(
        "TIP702",
        f"{file.name} is not the file of Fashion-MNIST",
        where=where,
        cause=cause,
        fix="fetch it again: it is damaged, cut off, swapped with another file, or of another data set",
    )
