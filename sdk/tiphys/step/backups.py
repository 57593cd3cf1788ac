"""How a training whose number of workers may change is asked to end: by a file in the folder of its backups.

The engine writes it, and starts the training again with another number of workers when all have ended. A training that
knows nothing of it is ended after a while, and loses what it did since its last backup.
"""

from __future__ import annotations

from tiphys.reference import resolve

__all__ = ["BACKUP", "ENDED_AT_BACKUP", "END_AT_BACKUP", "end_at_backup"]

BACKUP = "tiphys.dev/backup"
"""The annotation of a job that says where its backups are."""

END_AT_BACKUP = "end-at-backup"
ENDED_AT_BACKUP = 143  # as after SIGTERM: 128 and more start a worker again


def end_at_backup(folder: str) -> bool:
    """Whether the training whose backups are in ``folder`` (a URI) is to end now that it has written one: the chief
    asks after each, and ends with exit code 143. The request is answered so, and taken away."""
    file = resolve(folder) / END_AT_BACKUP
    there = file.is_file()
    file.unlink(missing_ok=True)
    return there
