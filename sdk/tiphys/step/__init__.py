"""What runs inside a step's container: ``python -m tiphys.step MODULE:FUNCTION``.

Inputs come from the environment (``TIPHYS_INPUT_<NAME>``), decoded by the annotations of the function; each
field of the result is written to a file in ``TIPHYS_OUTPUTS``. Nothing is spliced into source or shell lines.
"""

from __future__ import annotations

from tiphys.step.codec import decode, encode, outputs_of
from tiphys.step.runner import arguments_of, main, resolve_function, write_outputs

__all__ = ["arguments_of", "decode", "encode", "main", "outputs_of", "resolve_function", "write_outputs"]
