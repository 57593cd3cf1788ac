"""The labels by which Kueue knows queue and class."""

from __future__ import annotations

from tiphys.argo.queue_labels import queue_labels


def test_a_label_for_what_is_given() -> None:
    both = {"kueue.x-k8s.io/queue-name": "anna", "kueue.x-k8s.io/priority-class": "urgent"}
    assert queue_labels("anna", "urgent") == both
    assert queue_labels("anna", "") == {"kueue.x-k8s.io/queue-name": "anna"}
    assert queue_labels("", "") == {}
