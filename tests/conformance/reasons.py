"""Why a case does not agree, where the case itself is the reason."""

from __future__ import annotations

REASONS: dict[str, str] = {
    "1aa6820f13": "a race in the controller: whether a task that was stopped still gets its exit handler (Argo skips this test as flaky)",
    "e51e2384d7": "how many attempts fit into backoff.maxDuration depends on how fast pods start; the record is unstable",
    "a61ef26660": "the record is of the workflow made by `argo resubmit`",
    "35b8c8b0f9": "the record is of the workflow made by `argo resubmit`",
    "f626646607": "the record is of the workflow made by `argo resubmit`",
    "96ff041e85": "needs `argo retry` of a finished workflow",
    "0ef679c310": "needs `argo retry` of a finished workflow",
    "27c09b777a": "needs `argo retry` of a finished workflow",
    "5d10f6ed50": "needs `argo retry` of a finished workflow",
    "b3f74fa6f3": "the WorkflowTemplate that the case submits from is not among its files",
    "ab792fa8e5": "the cluster's service account may not create what the case creates",
    "d366d258af": "the cluster refuses the pod for a PriorityClass that it does not have",
    "bf1dfdd9bf": "the cluster refuses the pod for a service account that it does not have",
}
