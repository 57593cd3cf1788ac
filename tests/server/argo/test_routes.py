"""Every operation of Argo Server's API that Hera's client has is asked for once, as it asks for it."""

from __future__ import annotations

import inspect
import json

import pytest
from hera.exceptions import HeraException, NotFound, NotImplementedErr
from hera.workflows import WorkflowsService
from hera.workflows import models as m

from tests.server.running import FAILS, GATE, HELLO, Running

pytestmark = pytest.mark.filterwarnings("ignore:The `")  # Hera's own use of pydantic

KEPT = {
    "metadata": {"name": "kept"},
    "spec": {"entrypoint": "main", "templates": HELLO["spec"]["templates"][1:] + HELLO["spec"]["templates"][:1]},  # type: ignore[index]
}
