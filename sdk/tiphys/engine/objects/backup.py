"""A request to a job to end at its next backup, in the folder that its annotation names (:mod:`tiphys.step.backups`).

A job without the annotation is asked nothing, and neither is one whose folder leaves its volume, as a step may have
made it do.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.engine.pods.host import Host
from tiphys.errors import StoreError
from tiphys.reference import resolve
from tiphys.step.backups import BACKUP, END_AT_BACKUP
from tiphys.store.files import heed_full_disk

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import TFJobManifest

__all__ = ["ask_to_end", "take_back"]

_NEW = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def ask_to_end(host: Host, job: TFJobManifest) -> None:
    """The job is to end when it has written its next backup."""
    if (folder := _folder(host, job)) is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            os.close(os.open(folder / END_AT_BACKUP, _NEW, 0o666))
        except OSError as error:
            heed_full_disk(error)


def take_back(host: Host, job: TFJobManifest) -> None:
    """It is to go on."""
    if (folder := _folder(host, job)) is not None:
        with contextlib.suppress(OSError):
            (folder / END_AT_BACKUP).unlink(missing_ok=True)


def _folder(host: Host, job: TFJobManifest) -> Path | None:
    uri = str((job["metadata"].get("annotations") or {}).get(BACKUP) or "")
    volumes = host.store.volumes()
    root = volumes.get(uri.removeprefix("pvc://").partition("/")[0])
    if root is None or not uri.startswith("pvc://"):
        return None
    try:
        folder = resolve(uri, volumes).resolve()
    except (StoreError, OSError, RuntimeError, ValueError):  # of a loop of links, of a NUL
        return None
    return folder if folder.is_relative_to(Path(root).resolve()) else None
