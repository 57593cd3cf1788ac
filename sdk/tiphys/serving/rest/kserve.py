"""What KServe's V1 protocol has and TensorFlow Serving's REST API has not, or has otherwise: the list of models, and
whether one is ready.

Source: the V1 protocol's page of kserve/website. Predictions are the same in both; the status of all versions of a
model, whose path is taken, is one further.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tiphys.serving.model.inference import is_ready
from tiphys.serving.model.servable import Code, ModelError
from tiphys.serving.rest import metadata

if TYPE_CHECKING:
    from tiphys.serving.model.manager import Manager

__all__ = ["kserve_answer"]

_PATH = re.compile(r"/v1/models(?:/(?P<name>[^/:]+)(?P<versions>/versions)?)?")


def kserve_answer(path: str, manager: Manager) -> bytes | None:
    """The document at a path; None where there is nothing of KServe's own. Raises ModelError NOT_FOUND, and
    UNAVAILABLE for a model that is not ready."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    if found["name"] is None:
        return json.dumps({"models": [*manager.models]}).encode()
    name = metadata.model_name(found["name"])
    if found["versions"]:
        return metadata.status(manager.status(name))
    if name not in manager.models:
        raise ModelError(Code.NOT_FOUND, f"There is no model {name}")
    if not is_ready(manager, name):
        raise ModelError(Code.UNAVAILABLE, f"Model {name} is not ready")
    return json.dumps({"name": name, "ready": True}).encode()
