"""The newest version below a folder is what is to be served. When it is deleted, the one before is; what cannot be
loaded is tried again when its folder has changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tiphys.net.protobuf import quoted
from tiphys.serving.balancer.pin import VersionPin
from tiphys.serving.client import VersionStatus
from tiphys.serving.rollout import NotTaken, chain_text, has_failed, versions_text
from tiphys.serving.versions import version_folders

__all__ = ["FolderSource"]


class FolderSource:
    """The versions of the model ``name`` below ``base``, by their numbers; a :class:`RolloutSource`."""

    flags: Sequence[str] = ()

    def __init__(self, name: str, base: Path) -> None:
        self.name, self._base = name, base
        self._failed: dict[int, float] = {}  # versions, and when their folders had changed last

    def wanted(self) -> int | None:
        """The newest version that is there, and did not fail as it is now."""
        try:
            found = version_folders(self._base)
        except OSError:  # it is as it was
            return None
        for version, changed in self._failed.items():
            if version in found and changed == _changed(found[version]):
                del found[version]
        return max(found, default=None)

    def text(self, mark: str, now: int, *fresh: int) -> str:
        both = (now, *fresh)
        return (
            f"model_config_list {{ config {{ name: {quoted(self.name)} base_path: {quoted(str(self._base))} "
            f'model_platform: "tensorflow" model_version_policy {{ specific {{ {versions_text(both)} }} }} '
            f"{chain_text(mark, sorted(both, reverse=True))} }} }}\n"
        )

    def pin(self, what: int) -> VersionPin:
        return VersionPin(self.name, what)

    def has(self, what: int, rows: Sequence[VersionStatus]) -> bool:
        """Whether it is loaded. Raises NotTaken when it cannot be."""
        row = next((each for each in rows if each.version == what), None)
        if row is not None and has_failed(row):
            raise NotTaken(row.error_message or row.error_code)
        return row is not None and row.state == "AVAILABLE"

    def refuse(self, what: int) -> None:
        self._failed[what] = _changed(self._base / str(what))

    def is_gone(self, what: int) -> bool:
        return not (self._base / str(what)).is_dir()

    def told(self, what: int) -> str:
        return f"version {what}"


def _changed(folder: Path) -> float:
    """When something in a version changed last."""
    try:
        return max(each.stat().st_mtime for each in (folder, *folder.rglob("*")))
    except (OSError, ValueError):
        return 0.0
