"""What a cluster, or this machine, says of an object that stands for a gang, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from tiphys.gang.jobset_rules import check_jobset
from tiphys.gang.pytorchjob_rules import PyTorchJobManifest, check_pytorchjob
from tiphys.gang.tfjob_rules import validate_tfjob

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import JobSetManifest, KubeObject, TFJobManifest

__all__ = ["GANGS", "check_gang"]

GANGS = ("TFJob", "PyTorchJob", "JobSet")
"""The kinds of objects that are gangs."""


def check_gang(manifest: KubeObject | Mapping[str, object]) -> None:
    """Nothing for other kinds. Raises ApiError for what is refused, RefusedError TIP237 for what has no stand-in."""
    kind = manifest.get("kind")
    if kind == "TFJob":
        validate_tfjob(cast("TFJobManifest", manifest))
    elif kind == "PyTorchJob":
        check_pytorchjob(cast("PyTorchJobManifest", manifest))
    elif kind == "JobSet":
        check_jobset(cast("JobSetManifest", manifest))
