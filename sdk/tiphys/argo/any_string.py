"""Argo's AnyString: the text that it makes of what YAML has where a text is due, as the value of a parameter."""

from __future__ import annotations

__all__ = ["any_string"]


def any_string(value: object) -> str:
    """The text of a YAML value.

    A number is the float64 that JSON has for it, in the fewest digits that mean it and without an exponent
    (``strconv.FormatFloat(value, 'f', -1, 64)``): ``1e-7`` is ``0.0000001``. A list or a mapping has no text.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and -(2**53) <= value <= 2**53:
        return str(value)
    if isinstance(value, int | float):
        from decimal import Decimal  # slow to import, and most numbers are whole

        return format(Decimal(repr(float(value))), "f").removesuffix(".0")
    return ""
