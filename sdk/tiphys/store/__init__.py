"""The local store: one folder that holds everything runs leave behind.

``volumes/CLAIM/`` persistent volume claims, ``configmaps/`` memoization caches in Argo's layout,
``artifacts/`` content-addressed files, ``runs/NAME/`` the journal and logs of each run, ``locks.db`` the
semaphores and mutexes that all engines using this store share.
"""

from __future__ import annotations

from tiphys.store.artifacts import Artifacts, Stored
from tiphys.store.bucket import Bucket
from tiphys.store.configmaps import CACHE_LABEL, ConfigMaps
from tiphys.store.files import write_atomic, write_json
from tiphys.store.layout import Store

__all__ = [
    "CACHE_LABEL",
    "Artifacts",
    "Bucket",
    "ConfigMaps",
    "Store",
    "Stored",
    "write_atomic",
    "write_json",
]
