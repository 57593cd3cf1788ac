"""What an evaluation says about a model: the record that selection compares."""

from __future__ import annotations

from dataclasses import dataclass, field

from tiphys.reference import Reference

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """``uri`` and ``digest`` are the model's Reference; accuracies are parts of one.

    ``seconds`` is the time spent in the training's epochs; ``class_accuracy`` and ``confusion`` (rows: truth,
    columns: answer) are of the test images, which never take part in choosing. So are ``slices`` (column, value:
    accuracy) and ``worst_slice``, the lowest of them in words. ``dataset``: the digest of what it was measured on.
    """

    name: str
    uri: str
    digest: str
    validation_accuracy: float
    test_accuracy: float
    seconds: float
    synthetic: bool
    class_accuracy: dict[str, float] = field(default_factory=dict)
    confusion: list[list[int]] = field(default_factory=list)
    slices: dict[str, dict[str, float]] = field(default_factory=dict)
    worst_slice: str = ""
    dataset: str = ""

    @property
    def model(self) -> Reference:
        """Where the model is."""
        return Reference(self.uri, self.digest)
