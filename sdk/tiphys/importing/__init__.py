"""A first Pipeline from what another tool wrote: Argo YAML, or the IR of a KFP pipeline; what has no word is told."""

from __future__ import annotations

from tiphys.importing.argo import import_argo
from tiphys.importing.kfp import import_kfp
from tiphys.importing.told import Imported, Told

__all__ = ["Imported", "Told", "import_argo", "import_kfp"]
