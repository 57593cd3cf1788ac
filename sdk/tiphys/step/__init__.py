"""What runs inside a step's container: ``python -m tiphys.step MODULE:FUNCTION``.

Inputs come from the environment (``TIPHYS_INPUT_<NAME>``), decoded by the annotations of the function; each
field of the result is written to a file in ``TIPHYS_OUTPUTS``. Nothing is spliced into source or shell lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiphys.lazy import asked_for

if TYPE_CHECKING:
    from tiphys.step.codec import decode, encode, outputs_of
    from tiphys.step.runner import arguments_of, main, resolve_function, write_outputs

__all__ = ["arguments_of", "decode", "encode", "main", "outputs_of", "resolve_function", "write_outputs"]

# the engine wants the names of what a step finds, and runs none
_HOMES = {
    "arguments_of": ".runner",
    "decode": ".codec",
    "encode": ".codec",
    "main": ".runner",
    "outputs_of": ".codec",
    "resolve_function": ".runner",
    "write_outputs": ".runner",
}


def __getattr__(name: str) -> Any:
    return asked_for(__name__, _HOMES, name)
