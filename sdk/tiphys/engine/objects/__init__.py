"""Local stand-ins for what resource templates create: TFJob, Deployment, Service, ConfigMap and a few plain kinds."""

from __future__ import annotations

from tiphys.argo.answers import ApiError
from tiphys.engine.objects.api import Api
from tiphys.engine.objects.controllers import Controllers
from tiphys.engine.objects.kinds import KINDS, check_manifest, find_kind
from tiphys.engine.objects.node import ResourcePod
from tiphys.training.tf_config import tf_config
from tiphys.training.tfjob_rules import validate_tfjob

__all__ = [
    "KINDS",
    "Api",
    "ApiError",
    "Controllers",
    "ResourcePod",
    "check_manifest",
    "find_kind",
    "tf_config",
    "validate_tfjob",
]
