"""The local store: one folder that holds everything runs leave behind.

``volumes/CLAIM/`` persistent volume claims, ``artifacts/`` content-addressed files, ``runs/NAME/`` the journal and
logs of each run, ``cache.db`` the results of memoized steps, ``locks.db`` the semaphores and mutexes that all engines
using this store share.
"""

from __future__ import annotations

from tiphys.store.artifacts import Artifacts, Stored
from tiphys.store.bucket import Bucket
from tiphys.store.files import write_atomic, write_json
from tiphys.store.layout import Store

__all__ = [
    "Artifacts",
    "Bucket",
    "Store",
    "Stored",
    "write_atomic",
    "write_json",
]
