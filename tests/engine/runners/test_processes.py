"""What the keepers of processes read of them: in their records, and of those that run."""

from __future__ import annotations

import os
from pathlib import Path

from tiphys.engine.runners._processes import RECORDS, unfinished


def test_only_starts_of_the_last_keeper_without_an_end(tmp_path: Path) -> None:
    """How they go on with a real keeper: tests/engine/outliving."""
    (tmp_path / RECORDS).write_text(
        "! boot one;\n+ 1 101 {};\n"  # an earlier keeper's; its number may be another's by now
        "! boot two;\n"
        "+ 2 0 {};\n= 2 102;\n"
        "+ 3 0 {};\n= 3 103;\n- 3 0 ;\n"  # told
        "& 4 0 {};\n= 4 104;\n"  # its stdout is kept
        "* 5 0 ;\n= 5 105;\n"  # a server
        "+ 6 0 {\n+ x 0 {};\n"  # torn; none
        "+ 7 0 {};\n/ 7 0;\n"  # did not start
        "+ 8 0 {};\n"  # its keeper was killed just then
    )
    descriptor = os.open(tmp_path, os.O_PATH)
    try:
        assert unfinished(descriptor) == {2: (102, b"+"), 4: (104, b"&"), 5: (105, b"*"), 8: (0, b"+")}
    finally:
        os.close(descriptor)
