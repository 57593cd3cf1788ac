"""What the guard of a keeper finds in its records: whose end nobody has written down."""

from __future__ import annotations

import os
from pathlib import Path

from tiphys.engine.runners._guard import unfinished


def test_only_starts_of_the_last_keeper_without_an_end_and_without_a_kept_stdout(tmp_path: Path) -> None:
    """How each end is told with a real keeper: tests/engine/outliving."""
    book = tmp_path / "processes"
    book.write_text(
        "! boot one;\n+ 1 101 {};\n"  # an earlier keeper's; its number may be another's by now
        "! boot two;\n"
        "+ 2 102 {};\n"
        "+ 3 103 {};\n- 3 0 ;\n"  # told
        "& 4 104 {};\n"  # the rest of its stdout is lost
        "+ 5 105 {};\n"  # it runs, or did not end well
        "+ 6 106 {\n+ x 107 {};\n"  # torn; none
    )
    descriptor = os.open(book, os.O_RDWR | os.O_APPEND)
    try:
        assert unfinished(descriptor, {101, 102, 103, 104, 106, 107}) == [2]
    finally:
        os.close(descriptor)
