"""What a data set was made from, kept outside its folder: so that it can be made again when that is gone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from components.publish import write_file, writing
from tiphys.errors import ComponentError
from tiphys.reference import Reference, resolve

__all__ = ["Recipe", "keep_recipe", "recipe_of"]

_FOLDER = "recipes"


@dataclass(frozen=True)
class Recipe:
    """``source``: the raw files; ``parameters``: the ingestion's own, by name."""

    source: Reference
    parameters: dict[str, int]


def keep_recipe(dataset: Reference, source: Reference, parameters: dict[str, int]) -> None:
    """Write down how ``dataset`` was made."""
    path = _path(dataset)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"source": {"uri": source.uri, "digest": source.digest}, "parameters": parameters})
    write_file(path, text.encode())


def recipe_of(dataset: Reference) -> Recipe:
    """How ``dataset`` was made. Raises ComponentError TIP708 when nobody wrote that down."""
    path = _path(dataset)
    try:
        said = json.loads(path.read_bytes())
        return Recipe(
            Reference(**said["source"]), {str(name): int(n) for name, n in said["parameters"].items()}
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ComponentError(
            "TIP708",
            f"the data set {dataset.uri} is lost, and nothing says how it was made",
            where=str(path),
            cause=f"{type(error).__name__}: {error}",
            fix="run the pipeline again: it is ingested anew",
        ) from error


def _path(dataset: Reference) -> Path:
    claim = dataset.uri.removeprefix("pvc://").partition("/")[0]
    name = Path(urlsplit(dataset.uri).path).name
    return resolve(f"pvc://{claim}/{_FOLDER}/{name}.json")
