"""Local stand-ins for what resource templates create: TFJob, Deployment, Service, routes, a few plain kinds."""

from __future__ import annotations

from tiphys.engine.objects.controllers import Controllers, Kept
from tiphys.engine.objects.node import ResourcePod

__all__ = ["Controllers", "Kept", "ResourcePod"]
