"""What one training is made of, checked: shared by the step's entry and the worker that does it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from components.models import check_model
from tiphys.errors import ComponentError
from tiphys.reference import Reference

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """What one training is made of. ``output`` and ``work`` are ``pvc://`` or ``file://`` URIs; ``initial``
    is the model whose weights it begins with, None for random ones."""

    dataset: Reference
    model: str
    output: str
    work: str
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    initial: Reference | None = None

    def __post_init__(self) -> None:
        """Raise ComponentError TIP710 or TIP711 for what cannot be trained."""
        check_model(self.model)
        for name, value, least, most in (
            ("epochs", self.epochs, 1, 10_000),
            ("batch-size", self.batch_size, 1, 1 << 20),
            ("seed", self.seed, 0, 2**31 - 1),
        ):
            if not least <= value <= most:
                raise ComponentError(
                    "TIP711", f"{name} is {value}", fix=f"give a number from {least} to {most}"
                )
        if not (math.isfinite(self.learning_rate) and 0 < self.learning_rate <= 10):
            raise ComponentError(
                "TIP711", f"learning-rate is {self.learning_rate}", fix="give a number above 0, at most 10"
            )
