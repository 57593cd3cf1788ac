"""Golden predictions: what a model answered, when its training ended, to inputs that are kept with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.reference import contents

if TYPE_CHECKING:
    from tiphys.jsontypes import Json

__all__ = ["FILE", "Golden", "read", "write"]

FILE = "golden.json"
_FORMAT = "tiphys.golden/1"


@dataclass(frozen=True)
class Golden:
    """Columns by name, as of the REST interface; each column has one entry for each of ``rows``."""

    inputs: dict[str, list[Json]]
    outputs: dict[str, list[Json]]

    @property
    def rows(self) -> int:
        return min((len(column) for column in (*self.inputs.values(), *self.outputs.values())), default=0)

    def row(self, index: int) -> dict[str, list[Json]]:
        """The inputs of one row, as a batch of one."""
        return {name: column[index : index + 1] for name, column in self.inputs.items()}


def write(folder: Path, golden: Golden) -> None:
    """Write ``golden.json`` into a model's folder, above its versions, before the folder is sealed."""
    document = {"format": _FORMAT, "inputs": golden.inputs, "outputs": golden.outputs}
    (folder / FILE).write_text(json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n")


def read(folder: Path) -> Golden | None:
    """What was written; None when there is no such file. Raises ValueError for one that cannot be used."""
    try:
        document = json.loads(contents(folder / FILE))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise ValueError(f"its format is not {_FORMAT}")
    golden = Golden(_columns(document.get("inputs")), _columns(document.get("outputs")))
    if any(len(column) != golden.rows for column in (*golden.inputs.values(), *golden.outputs.values())):
        raise ValueError("its columns have not the same length")
    return golden


def _columns(value: object) -> dict[str, list[Json]]:
    if isinstance(value, dict) and value and all(isinstance(column, list) for column in value.values()):
        return value
    raise ValueError("it has no columns of inputs and outputs")
