"""Which installed distributions a name of the top level is imported from, with their versions.

``importlib.metadata.packages_distributions`` answers that for all names by reading what every distribution has; here
one name is looked up where its package lies, and most are found by the folder of their own name.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from pathlib import Path

__all__ = ["installed"]

_INFO = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info\Z")


@functools.lru_cache(maxsize=1024)
def installed(top: str) -> tuple[str, ...]:
    """``("numpy==2.4.6",)`` for ``numpy``; several for a namespace that several share; none for what is not here."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return ()
    if spec is None:
        return ()
    places = [Path(place).parent for place in spec.submodule_search_locations or ()]
    if not places and spec.origin:
        places = [Path(spec.origin).parent]
    found: set[str] = set()
    for place in dict.fromkeys(places):
        infos = _infos(place)
        likely = [info for info in infos if info[0] == _plain(top) and _has(info[2], top)]
        shared = spec.origin is None  # a namespace
        for name, version, info in likely if likely and not shared else infos:
            if _has(info, top):
                found.add(f"{name}=={version}")
    return tuple(sorted(found))


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@functools.lru_cache(maxsize=64)
def _infos(place: Path) -> tuple[tuple[str, str, Path], ...]:
    """(name, version, folder) of the distributions in a folder of installed packages."""
    matches = ((_INFO.match(path.name), path) for path in place.iterdir()) if place.is_dir() else ()
    return tuple(sorted((_plain(m["name"]), m["version"], path) for m, path in matches if m))


@functools.lru_cache(maxsize=4096)
def _has(info: Path, top: str) -> bool:
    """Whether a distribution brings the package or module ``top``, by its own list of files."""
    for name in ("RECORD", "top_level.txt", "installed-files.txt"):
        try:
            text = (info / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        pattern = rf"^(?:\.\./)?{re.escape(top)}(?:/|\.py[,\s]|\.pyd?[,\s]|\.(?:cpython|abi3)[^/\n]*|\s*$)"
        if re.search(pattern, text, re.MULTILINE):
            return True
    return False
