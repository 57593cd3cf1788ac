"""What plays the object store: keys such as ``WORKFLOW/POD/name.tgz``, each naming a content-addressed file."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.argo.artifacts import key_of, location_of
from tiphys.reference import contents
from tiphys.store.files import clear, write_atomic

if TYPE_CHECKING:
    from tiphys.argo.types import Artifact

__all__ = ["Bucket", "stored_key"]


_ELSEWHERE = ("raw", "http", "git")  # what such an artifact names is not in the store


def stored_key(artifact: Artifact) -> str | None:
    """The key under which the bucket has what an artifact names; None for what lies elsewhere."""
    found = location_of(artifact)
    return None if found is None or found[0] in _ELSEWHERE else key_of(artifact)


class Bucket:
    """The keys of stored artifacts, one small JSON file each; ``incoming``: where those are while they are written."""

    def __init__(self, folder: Path, incoming: Path) -> None:
        self._folder = folder
        self._incoming = incoming

    def put(self, key: str, digest: str, size: int) -> None:
        path = self._path(key)
        with clear(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._incoming.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps({"digest": digest, "size": size}).encode(), beside=self._incoming)

    def digest(self, key: str) -> str:
        """The digest under a key, or an empty string."""
        try:
            return str(json.loads(contents(self._path(key)))["digest"])
        except (OSError, ValueError, KeyError):
            return ""

    def size(self, key: str) -> int:
        """The bytes of what is under a key; 0 without one."""
        try:
            return int(json.loads(contents(self._path(key)))["size"])
        except (OSError, ValueError, KeyError):
            return 0

    def keys(self, prefix: str = "") -> list[str]:
        """All keys that start with ``prefix``, sorted."""
        return sorted(key for key in self._all() if key.startswith(prefix))

    def delete(self, key: str) -> bool:
        path = self._path(key)
        found = path.is_file()
        path.unlink(missing_ok=True)
        return found

    def digests(self, *, but: Collection[str] = ()) -> list[str]:
        """Every digest that some key names (what garbage collection must keep), other than these keys."""
        return [digest for key in self._all() if key not in but and (digest := self.digest(key))]

    def _all(self) -> Iterator[str]:
        if self._folder.is_dir():
            for path in self._folder.rglob("*!"):
                if path.is_file():
                    yield urllib.parse.unquote(path.relative_to(self._folder).as_posix()[:-1])

    def _path(self, key: str) -> Path:
        # quoted, so that '..' and odd characters are plain names; '!' keeps a key apart from a folder of keys
        parts = [urllib.parse.quote(part, safe="").replace(".", "%2E") or "%" for part in key.split("/")]
        return self._folder.joinpath(*parts[:-1], parts[-1] + "!")
