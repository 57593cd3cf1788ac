"""Values too large for a workflow: a file in a volume, handed on by its digest.

A cache's ConfigMap holds 1 MiB, an environment variable 128 KiB; so what a cached step returns is handed on as a
reference when it is longer than :data:`LONGEST`, and the step that takes it reads the file. The compiler says of which
outputs (:mod:`tiphys.dsl.large`): only of those that nothing but steps takes.

Nothing but Python is used here: a script that travels in a workflow takes this file along.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

from tiphys.errors import StoreError

__all__ = ["ENV", "FOLDER", "LONGEST", "file_of", "shortened", "whole"]

LONGEST = 16384
"""The bytes of UTF-8 up to which a value is handed on as it is."""

ENV = "TIPHYS_LARGE"
"""Where a step finds the claim, and which of its outputs may lie in it: ``{"claim": "…", "outputs": ["…"]}``."""

FOLDER = ".tiphys/values"
"""Where they lie in a claim; each is named after the SHA-256 of its bytes."""

_URI = re.compile(r"pvc://([^/]+)/" + re.escape(FOLDER) + "/([0-9a-f]{64})")


def shortened(name: str, text: str, volumes: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """The output ``name`` as it is handed on: the text, or in its place the reference to the file that now holds it.

    ``volumes`` maps claims to folders. What cannot be written is handed on as it is: its work is done.
    """
    data = text.encode()
    said = json.loads(environ.get(ENV) or "null")
    if len(data) <= LONGEST or said is None:
        return text
    if name not in said["outputs"] or said["claim"] not in volumes:
        sys.stderr.write(
            f"the output {name!r} is {len(data)} bytes and is handed on as text, since not only steps take it: on a "
            "cluster all results in one ConfigMap have 1 MiB\n"
        )
        return text
    digest = hashlib.sha256(data).hexdigest()
    try:
        _write(Path(volumes[said["claim"]]) / FOLDER / digest, data)
    except OSError as error:
        sys.stderr.write(f"the output {name!r} is handed on as it is, all {len(data)} bytes: {error}\n")
        return text
    uri = f"pvc://{said['claim']}/{FOLDER}/{digest}"
    return json.dumps({"digest": f"sha256:{digest}", "uri": uri}, sort_keys=True, separators=(",", ":"))


def whole(text: str, volumes: Mapping[str, str]) -> str:
    """A value as its step returned it. Raises StoreError (TIP406) when the file is gone or is another."""
    uri, digest = _named(text)
    if not uri:
        return text
    file = file_of(uri, volumes)
    try:
        if file is None:
            raise OSError(f"its claim is not mounted here (mounted: {', '.join(sorted(volumes)) or 'none'})")
        data = file.read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise OSError("the file has another content than was written")
        return data.decode()
    except OSError as error:
        raise StoreError(
            "TIP406",
            f"a value of an earlier step cannot be read: {uri}",
            cause=error.strerror or str(error),
            fix="compute it anew with --cache refresh; & while_intact() looks before a result is taken",
        ) from error


def file_of(uri: str, volumes: Mapping[str, str]) -> Path | None:
    """The file of a large value; None for any other address, and when the claim is not mounted."""
    found = _URI.fullmatch(uri)
    if found is None or found[1] not in volumes:
        return None
    return Path(volumes[found[1]]) / FOLDER / found[2]


def _named(text: str) -> tuple[str, str]:
    """The address and the digest in what stands for a large value; empty ones for any other text."""
    if len(text) > 1000 or not text.startswith('{"digest":'):
        return "", ""
    try:
        value = json.loads(text)
        found = _URI.fullmatch(value["uri"])
    except (ValueError, KeyError, TypeError):
        return "", ""
    return (value["uri"], found[2]) if found and value["digest"] == f"sha256:{found[2]}" else ("", "")


def _write(path: Path, data: bytes) -> None:
    """All of it or nothing; written anew when it is there, since what is there may be damaged."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
