"""What a gate asks of a model, and its verdict."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["GateRules", "Judgement"]


@dataclass(frozen=True)
class GateRules:
    """Zero, empty and None: not asked.

    ``load_seconds``: until the server answers. ``p99_seconds``: of ``requests`` requests, one at a time.
    ``memory_bytes``: the most that the server ever had. ``golden``: so many recorded answers at least, each within
    ``golden_tolerance``.
    ``inputs``, ``outputs``: of the signature ``serving_default``, as ``uint8[?, 28, 28]``. ``no_worse_by``,
    ``per_class``: how much lower than of what is served the test accuracy may be, overall and in each class.
    ``data_age_seconds``: how old the data may be.
    """

    load_seconds: float = 60.0
    p99_seconds: float = 0.0
    requests: int = 100
    memory_bytes: int = 0
    golden: int = 0
    golden_tolerance: float = 1e-3
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    no_worse_by: float | None = None
    per_class: float | None = None
    data_age_seconds: int = 0


@dataclass(frozen=True)
class Judgement:
    """``reasons``: why it is refused, one sentence each, none when it ``passed``. ``measurements``: what was measured,
    in seconds, bytes and parts of one. ``summary``: one line for a person."""

    passed: bool
    reasons: list[str]
    measurements: dict[str, float]
    summary: str
