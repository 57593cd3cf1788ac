"""In which order tests run: files that take long begin first, so that no process has one of them left when the others
are done. (``--no-loadscope-reorder`` keeps xdist from sorting files by how many tests they have.)"""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
