"""References to data in a volume: a URI and the digest of what is there.

A reference names a folder by ``pvc://CLAIM/PATH`` (the form KServe uses for a persistent volume claim) or
``file:///PATH``. The folder carries ``manifest.json``, which lists every other file in it with its size and
SHA-256; the reference's digest is the SHA-256 of the bytes of ``manifest.json``. So one short string in a
workflow's outputs pins the whole folder, reads the same on a laptop and on a cluster, and can be verified
anywhere. Files that only lie with the content (how long it took to make it, a random id) are named in the manifest, and
``beside.json`` has their sizes and SHA-256: equal content has an equal digest, and every file can be verified.

A long value (:mod:`tiphys.large`) is one file, and the reference's digest is the SHA-256 of its bytes.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from tiphys.errors import StoreError
from tiphys.large import file_of

__all__ = [
    "BESIDE",
    "MANIFEST",
    "STATES",
    "VOLUMES_ENV",
    "NotAFile",
    "Reference",
    "content_digest",
    "contents",
    "file_digest",
    "open_file",
    "pointed",
    "references",
    "resolve",
    "seal",
    "tail",
    "verify",
    "volumes_from_env",
]

MANIFEST = "manifest.json"
BESIDE = "beside.json"
_UNFINISHED = ".tmp"
VOLUMES_ENV = "TIPHYS_VOLUMES"
STATES = ".tiphys/reuse"
"""Where, in a claim, a guard keeps what it knows of the last result of a key: ``KEY.json``, with a ``generation``."""
_LONGEST_MANIFEST = 1 << 28  # bytes
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class NotAFile(OSError):
    """What a step has left in the place of a file is something else; the text says what."""


def open_file(path: Path, *, follow: bool = True) -> BufferedReader:
    """Open for reading what a step has written: never waits for a pipe, reads no device, and without ``follow`` not
    what a link leads to. Raises NotAFile, IsADirectoryError or another OSError."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except OSError:
        found = _kind(path)
        if found:
            raise NotAFile(f"it is {found}, not a file") from None
        raise
    try:
        found = _KINDS.get(stat.S_IFMT(os.fstat(descriptor).st_mode), "")
        if found:
            raise NotAFile(f"it is {found}, not a file")
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _kind(path: Path) -> str:
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return ""
    return "a link" if stat.S_ISLNK(mode) and os.path.exists(path) else _KINDS.get(stat.S_IFMT(mode), "")


@dataclass(frozen=True)
class Reference:
    """Where a folder is and the digest of its manifest.

    ``uri`` is ``pvc://claim/path`` or ``file:///path``; ``digest`` is ``sha256:<64 hex digits>``, or empty when
    the content was not known when the reference was made.
    """

    uri: str
    digest: str = ""

    def __str__(self) -> str:
        return json.dumps({"digest": self.digest, "uri": self.uri}, sort_keys=True, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read the JSON form, or a bare ``pvc://`` / ``file://`` URI. Raises StoreError."""
        reference = cls.maybe(text)
        if reference is None:
            raise StoreError(
                "TIP401",
                f"not a reference: {text[:80]!r}",
                fix='give {"uri": "pvc://CLAIM/PATH", "digest": "sha256:…"} or a bare pvc:// or file:// URI',
            )
        return reference

    @classmethod
    def maybe(cls, text: str) -> Reference | None:
        """Like :meth:`parse`, but None when ``text`` is something else."""
        if text.startswith(("pvc://", "file://")):
            return cls(text) if "\n" not in text else None
        if not (text.startswith("{") and '"uri"' in text):
            return None
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict) or not isinstance(value.get("uri"), str):
            return None
        if not value["uri"].startswith(("pvc://", "file://")):
            return None
        digest = value.get("digest", "")
        return cls(value["uri"], digest if isinstance(digest, str) else "")


def volumes_from_env(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The mounted claims of this step: ``{claim: mount path}`` from ``TIPHYS_VOLUMES`` (JSON)."""
    text = (os.environ if environ is None else environ).get(VOLUMES_ENV, "")
    if not text:
        return {}
    try:
        value = json.loads(text)
    except ValueError as error:
        raise StoreError("TIP402", f"{VOLUMES_ENV} is not JSON: {error}", where="environment") from error
    if not isinstance(value, dict):
        raise StoreError("TIP402", f"{VOLUMES_ENV} is not a JSON object", where="environment")
    return {str(claim): str(path) for claim, path in value.items()}


def resolve(uri: str, volumes: Mapping[str, str] | None = None) -> Path:
    """The local path of ``uri``. ``volumes`` maps claims to folders (default: ``TIPHYS_VOLUMES``).

    Raises StoreError for an unknown scheme, a claim that is not mounted, or a path that leaves the volume.
    """
    parts = urlsplit(uri)
    path = PurePosixPath(unquote(parts.path))
    if ".." in path.parts:
        raise StoreError("TIP403", f"the path of {uri!r} leaves its volume", fix="use a path without '..'")
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise StoreError("TIP403", f"{uri!r} names another host", fix="use file:///PATH")
        return Path(path)
    if parts.scheme == "pvc":
        mounted = _known(volumes)
        root = mounted.get(parts.netloc)
        if root is None:
            known = ", ".join(sorted(mounted)) or "none"
            raise StoreError(
                "TIP404",
                f"the volume claim {parts.netloc!r} of {uri!r} is not mounted here",
                cause=f"mounted claims: {known}",
                fix=f"mount the claim, or set {VOLUMES_ENV} to a JSON object of claim: folder",
            )
        return Path(root) / path.relative_to("/") if path.is_absolute() else Path(root) / path
    raise StoreError("TIP405", f"unsupported scheme in {uri!r}", fix="use pvc://CLAIM/PATH or file:///PATH")


def file_digest(path: Path) -> str:
    """``sha256:<hex>`` of a file's bytes."""
    with open_file(path) as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()


def content_digest(path: str) -> str:
    """``sha256:<hex>`` of a file's bytes, or of the names and SHA-256 of all files below a folder, in which nothing is
    written. What a link leads to counts, and a file with a name of the seal's, too. Scripts of steps take it along.
    """
    found = {"": path} if os.path.isfile(path) else {}
    for folder, _, names in os.walk(path, followlinks=True):
        for name in names:
            file = os.path.join(folder, name)
            if os.path.isfile(file) and not (name == "fingerprint.pb" and "saved_model.pb" in names):
                found[os.path.relpath(file, path)] = file
    lines = []
    for name, file in sorted(found.items()):
        digest = hashlib.sha256()
        with open(file, "rb") as stream:
            for piece in iter(lambda: stream.read(1 << 20), b""):
                digest.update(piece)
        lines.append(f"{digest.hexdigest()} {name}\n")
    if "" not in found:
        digest = hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape"))
    return "sha256:" + digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """All files below ``folder`` but the seal's own."""
    own = {folder / (name + end) for name in (MANIFEST, BESIDE) for end in ("", _UNFINISHED)}
    return (path for path in folder.rglob("*") if path.is_file() and path not in own)


def _counts(path: Path, folder: Path, beside: Sequence[str]) -> bool:
    """Whether a file is of what the folder is, and not only beside it."""
    # TensorFlow writes a random id beside each SavedModel (core/protobuf/fingerprint.proto)
    if path.name == "fingerprint.pb" and path.with_name("saved_model.pb").exists():
        return False
    name = path.relative_to(folder).as_posix()
    return not any(fnmatch.fnmatchcase(name, pattern) for pattern in beside)


def seal(folder: Path, *, beside: Sequence[str] = ()) -> str:
    """Write ``manifest.json`` for all files below ``folder`` and return its digest.

    The manifest is sorted and has no times in it, so equal content gives an equal digest. It is written to a
    temporary name, flushed to disk and renamed.

    ``beside``: patterns (as of :mod:`fnmatch`) of files that lie with the content and are none of it, such as how long
    it took to make it. A change of them breaks the seal, too, but only their names count in the digest. The
    ``fingerprint.pb`` of a SavedModel, which holds a random id, is always one.
    """
    content: dict[str, object] = {}
    aside: dict[str, object] = {}
    for path in sorted(_files(folder)):
        listed = content if _counts(path, folder, beside) else aside
        listed[path.relative_to(folder).as_posix()] = {
            "sha256": file_digest(path)[7:],
            "size": path.stat().st_size,
        }
    if aside:
        _write_json(folder / BESIDE, {"files": aside, "version": 1})
    else:
        (folder / BESIDE).unlink(missing_ok=True)
    named = {"beside": sorted(aside)} if aside else {}
    data = _write_json(folder / MANIFEST, {**named, "files": content, "version": 1})
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _write_json(path: Path, value: Mapping[str, object]) -> bytes:
    data = json.dumps(value, sort_keys=True, indent=1).encode() + b"\n"
    temporary = path.with_name(path.name + _UNFINISHED)
    with temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    return data


def verify(
    reference: Reference,
    volumes: Mapping[str, str] | None = None,
    *,
    content: bool = True,
    digest: Callable[[Path], str] = file_digest,
) -> str:
    """Why ``reference`` cannot be trusted, or an empty string when it can.

    Checks that the manifest exists and has the recorded digest, that every listed file has its size and,
    with ``content``, its SHA-256, and that no other file is there: a step that takes whatever it finds would see it.
    ``digest`` is asked for that of a file, where somebody knows it without reading the file.
    """
    try:
        folder = resolve(reference.uri, volumes)
    except StoreError as error:
        return error.message
    if (file := file_of(reference.uri, _known(volumes))) is not None:
        return _file_problem(reference, file, digest)
    manifest = folder / MANIFEST
    try:
        data = contents(manifest)
        sealed = json.loads(data)
        files = sealed["files"]
        if reference.digest and "sha256:" + hashlib.sha256(data).hexdigest() != reference.digest:
            return f"{reference.uri}: the manifest's digest is not the recorded one"
        if named := sealed.get("beside"):
            aside = json.loads(contents(folder / BESIDE))["files"]
            files = {**files, **{name: aside[name] for name in named}}
        for name, entry in files.items():
            path = folder / name
            if path.stat().st_size != entry["size"]:
                return f"{reference.uri}: {name} has another size than recorded"
            if content and digest(path)[7:] != entry["sha256"]:
                return f"{reference.uri}: {name} has another content than recorded"
        for path in _files(folder):
            name = path.relative_to(folder).as_posix()
            if name not in files:
                return f"{reference.uri}: {name} was added"
    except FileNotFoundError as error:
        missing = Path(str(error.filename or manifest)).name
        return f"{reference.uri}: {missing} is missing"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return f"{reference.uri}: the manifest cannot be read ({error})"
    return ""


def _file_problem(reference: Reference, file: Path, digest: Callable[[Path], str]) -> str:
    """The same for the one file of a long value."""
    try:
        same = digest(file) == reference.digest
    except FileNotFoundError:
        return f"{reference.uri} is missing"
    except OSError as error:
        return f"{reference.uri} cannot be read ({error})"
    return "" if same else f"{reference.uri} has another content than recorded"


def _known(volumes: Mapping[str, str] | None) -> Mapping[str, str]:
    return volumes_from_env() if volumes is None else volumes


def pointed(value: object, volumes: Mapping[str, str] | None = None) -> Iterator[Reference]:
    """Like :func:`references`, and what a long value that lies in a file (:mod:`tiphys.large`) points to."""
    for reference in references(value):
        yield reference
        file = file_of(reference.uri, _known(volumes))
        if file is not None:
            with contextlib.suppress(OSError, ValueError):  # whoever asks whether it is there is told so
                with open_file(file) as stream:
                    text = stream.read().decode()
                yield from pointed(text, volumes)


def contents(path: Path) -> bytes:
    """The bytes of a file that a step, or somebody else, has written. Raises OSError, also for what is no file, and
    ValueError for one that is too long."""
    with open_file(path) as stream:
        data = stream.read(_LONGEST_MANIFEST + 1)
    if len(data) > _LONGEST_MANIFEST:
        raise ValueError("it is too long")
    return data


def tail(path: Path, size: int, *, follow: bool = True) -> str:
    """The last ``size`` bytes of what a step writes, as text; ``follow``: as of :func:`open_file`. Raises OSError,
    also for what is no file."""
    with open_file(path, follow=follow) as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - size))
        return stream.read(size).decode(errors="replace")


def references(value: object) -> Iterator[Reference]:
    """Every reference in an output's value: the JSON form at any depth, or a bare ``pvc://`` / ``file://`` text."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            found = Reference.maybe(value)
            if found is not None:
                yield found
            elif value[:1] in ("{", "["):
                with contextlib.suppress(ValueError, RecursionError):
                    waiting.append(json.loads(value))
        elif isinstance(value, Mapping):
            uri = value.get("uri")
            if isinstance(uri, str) and uri.startswith(("pvc://", "file://")):
                digest = value.get("digest")
                yield Reference(uri, digest if isinstance(digest, str) else "")
            waiting += reversed([inner for key, inner in value.items() if key != "uri"])
        elif isinstance(value, list):
            waiting += reversed(value)
