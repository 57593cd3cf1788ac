"""Local stand-ins for what resource templates create: TFJob, Deployment, Service, ConfigMap and a few plain kinds."""

from __future__ import annotations

from tiphys.engine.resources.api import Api, ApiError
from tiphys.engine.resources.cluster import Resources
from tiphys.engine.resources.kinds import KINDS, check_manifest, find_kind
from tiphys.engine.resources.node import ResourcePod
from tiphys.engine.resources.tfconfig import tf_config
from tiphys.engine.resources.tfjob_rules import validate_tfjob

__all__ = [
    "KINDS",
    "Api",
    "ApiError",
    "ResourcePod",
    "Resources",
    "check_manifest",
    "find_kind",
    "tf_config",
    "validate_tfjob",
]
