"""Refusals of the API server in kubectl's words."""

from __future__ import annotations

from tiphys.argo.answers import ApiError


def test_an_answer_is_told_as_kubectl_tells_it() -> None:
    # kubectl get workflow none: Error from server (NotFound): workflows.argoproj.io "none" not found
    error = ApiError("NotFound", 'workflows.argoproj.io "none" not found')
    assert str(error) == 'Error from server (NotFound): workflows.argoproj.io "none" not found'
    assert (error.reason, error.message) == ("NotFound", 'workflows.argoproj.io "none" not found')
