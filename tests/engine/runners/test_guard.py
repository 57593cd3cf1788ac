"""What the heir of a killed keeper finds in its records: whose end nobody has written down."""

from __future__ import annotations

import os
from pathlib import Path

from tiphys.engine.runners._guard import RECORDS, unfinished


def test_only_starts_of_the_last_keeper_without_an_end(tmp_path: Path) -> None:
    """How they go on with a real keeper: tests/engine/outliving."""
    (tmp_path / RECORDS).write_text(
        "! boot one;\n+ 1 101 {};\n"  # an earlier keeper's; its number may be another's by now
        "! boot two;\n"
        "+ 2 102 {};\n"
        "+ 3 103 {};\n- 3 0 ;\n"  # told
        "& 4 104 {};\n"  # its stdout is kept
        "+ 6 106 {\n+ x 107 {};\n"  # torn; none
    )
    descriptor = os.open(tmp_path, os.O_PATH)
    try:
        assert unfinished(descriptor) == {2: (102, False), 4: (104, True)}
    finally:
        os.close(descriptor)
