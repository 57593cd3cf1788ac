"""Errors as the API server tells them, read by the official client."""

from __future__ import annotations

import kubernetes

from tiphys.errors import RefusedError, StoreError
from tiphys.server.answers import RequestError, status_of


def test_an_error_is_a_status_of_kubernetes() -> None:
    told = status_of(RefusedError("TIP211", "there is no run 'x'", cause="a", fix="b"))
    read = kubernetes.client.V1Status.from_dict(told)
    assert (read.code, read.reason, read.status) == (404, "NotFound", "Failure")
    assert read.message == "TIP211: there is no run 'x'; a; fix: b"


def test_who_is_at_fault_is_in_the_number() -> None:
    assert status_of(RefusedError("TIP216", "cannot stop x: it has ended"))["code"] == 409
    assert status_of(RefusedError("TIP298", "no Workflow"))["code"] == 422
    assert status_of(StoreError("TIP411", "no room"))["code"] == 500
    assert RequestError(409, "x", "AlreadyExists").status["reason"] == "AlreadyExists"
