"""The first step: find the data, check it, and name it by its content. Cheap once the files are in the volume."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from components.catalog import CLASSES, DEBIAN_FOLDER, DEBIAN_PACKAGE, DOWNLOAD_URL, FILES, REAL_KEY
from components.fetch import from_apt, from_folder, from_uri
from components.publish import publish, published
from components.synthetic import DEFAULT_EXAMPLES, generate
from tiphys.errors import ComponentError
from tiphys.reference import MANIFEST, Reference, resolve

__all__ = ["SOURCE_ENV", "SYNTHETIC", "Fingerprint", "fingerprint", "is_synthetic"]

SOURCE_ENV = "TIPHYS_FASHION_MNIST"
SYNTHETIC = "synthetic"
_VOLUME = "pvc://tiphys"

Way = Callable[[Path], None]


@dataclass(frozen=True)
class Fingerprint:
    """``source``: the folder of the four raw idx files, pinned by digest; ``origin``: in words, where from."""

    source: Reference
    origin: str


def fingerprint(source: str = "auto", limit: int = 0) -> Fingerprint:
    """Bring the four Fashion-MNIST files into the volume, unless they are there, and return their digest.

    ``source`` is a folder, a URI (``file://``, ``pvc://``, ``http(s)://``, ``s3://`` where fsspec can), ``synthetic``
    (generated, for tests), or ``auto``: what the environment variable TIPHYS_FASHION_MNIST names, the volume, the
    official download, Debian's installed package, Debian's package through apt without root, in this order.
    ``limit`` sets the number of generated training images; it changes nothing about real data.

    Raises ComponentError: TIP701 nothing could be reached (all that was tried is listed), TIP702 a file is not the
    pinned one, TIP703 a file is missing, TIP706 a bad parameter, TIP707 the volume cannot be written.
    """
    if limit < 0:
        raise ComponentError("TIP706", f"limit is {limit}, but it counts images", fix="give 0 (all) or more")
    if source == SYNTHETIC:
        return _synthetic(limit or DEFAULT_EXAMPLES)
    uri = f"{_VOLUME}/sources/{REAL_KEY}"
    ways = _ways(source)
    stored = _stored(uri)
    if stored is not None and not _is_folder(source):
        return Fingerprint(stored, "Fashion-MNIST, 70 000 images, already in the volume")
    tried: list[ComponentError] = []
    for name, way in ways:
        try:
            if stored is not None:
                _try_out(way)
            reference = stored or publish(uri, way, sound=_stored)
        except ComponentError as error:
            if error.code == "TIP707" or len(ways) == 1:
                raise
            sys.stderr.write(f"source: not from {name}: {error.message}\n")
            tried.append(error)
            continue
        return Fingerprint(reference, f"Fashion-MNIST, 70 000 images, from {name}")
    raise _none_reachable([name for name, _ in ways], tried)


def is_synthetic(reference: Reference) -> bool:
    """True for a source made by ``synthetic``: its folder says so by name."""
    return Path(urlsplit(reference.uri).path).name.startswith(SYNTHETIC)


def _ways(source: str) -> list[tuple[str, Way]]:
    if not source or source != source.strip() or "\0" in source:
        raise ComponentError("TIP706", f"source is {source!r}", fix="give auto, synthetic, a folder or a URI")
    if source == "auto":
        given = os.environ.get(SOURCE_ENV, "")
        return [
            *(_ways(given) if given and given != "auto" else []),
            (f"the official download ({DOWNLOAD_URL})", partial(from_uri, DOWNLOAD_URL)),
            (f"Debian's package, installed ({DEBIAN_FOLDER})", partial(from_folder, Path(DEBIAN_FOLDER))),
            (f"Debian's package, by apt-get download {DEBIAN_PACKAGE}", from_apt),
        ]
    if "://" in source:
        return [(source, partial(from_uri, source))]
    return [(source, partial(from_folder, Path(source).absolute()))]


def _is_folder(source: str) -> bool:
    return source != "auto" and urlsplit(source).scheme in ("", "file", "pvc")


def _try_out(way: Way) -> None:
    """Check a folder that was named although the volume has the files: a wrong name must not go unnoticed."""
    with tempfile.TemporaryDirectory(prefix="tiphys-source-") as folder:
        way(Path(folder))


def _stored(uri: str) -> Reference | None:
    """The real files in the volume, when all are there and their digests are the pinned ones."""
    reference = published(uri)
    if reference is None:
        return None
    files = json.loads((resolve(uri) / MANIFEST).read_bytes())["files"]
    pinned = {file.name: {"sha256": file.sha256, "size": file.size} for file in FILES}
    return reference if files == pinned else None


def _synthetic(examples: int) -> Fingerprint:
    least = 10 * len(CLASSES)
    if examples < least:
        raise ComponentError(
            "TIP706", f"limit is {examples}, too few to generate", fix=f"give at least {least}"
        )
    reference = publish(f"{_VOLUME}/sources/{SYNTHETIC}-{examples}", partial(generate, examples=examples))
    return Fingerprint(reference, f"GENERATED stand-in, NOT real data: {examples} training images")


def _none_reachable(names: list[str], errors: list[ComponentError]) -> ComponentError:
    reasons = [
        f"{number}. {name}: {error.message}" + (f" ({error.cause})" if error.cause else "")
        for number, (name, error) in enumerate(zip(names, errors, strict=True), 1)
    ]
    return ComponentError(
        "TIP701",
        "no source of Fashion-MNIST can be reached",
        where="source=auto",
        cause="tried in order:\n    " + "\n    ".join(reasons),
        fix="put " + ", ".join(file.name + ".gz" for file in FILES) + " into one folder and give it as the "
        "parameter `source` (a path or a URI: file://, pvc://, http(s)://, s3://), "
        f"or install Debian's package: apt-get install {DEBIAN_PACKAGE}",
    )
