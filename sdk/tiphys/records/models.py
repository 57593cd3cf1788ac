"""The models in the volumes of a store: sealed folders of SavedModel versions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tiphys.reference import MANIFEST, Reference, file_digest, verify
from tiphys.store.layout import Store

__all__ = ["Model", "models"]


@dataclass(frozen=True)
class Model:
    """A sealed SavedModel in a volume. ``problem`` is empty when every file has its recorded digest."""

    uri: str
    digest: str
    versions: tuple[str, ...]
    problem: str


def models(store: Store) -> list[Model]:
    """Every sealed folder of a volume that holds numbered SavedModel versions."""
    found = []
    volumes = store.volumes()
    for claim, root in volumes.items():
        for manifest in sorted(Path(root).glob(f"models/*/{MANIFEST}")):
            folder = manifest.parent
            versions = tuple(
                sorted(
                    (
                        path.parent.name
                        for path in folder.glob("*/saved_model.pb")
                        if path.parent.name.isdigit()
                    ),
                    key=int,
                )
            )
            if versions:
                uri = f"pvc://{claim}/{folder.relative_to(root).as_posix()}"
                found.append(Model(uri, file_digest(manifest), versions, verify(Reference(uri), volumes)))
    return found
