"""``python -m tiphys.step MODULE:FUNCTION``."""

from __future__ import annotations

import sys

from tiphys.step.runner import main

sys.exit(main(sys.argv[1:]))
