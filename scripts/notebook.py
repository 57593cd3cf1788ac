"""docs/tutorial.md as a notebook: what is written there in Python are its cells.

python scripts/notebook.py
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
_CODE = re.compile(r"^```python\n(.*?)^```$\n*", re.M | re.S)


def main() -> int:
    (DOCS / "tutorial.ipynb").write_text(notebook((DOCS / "tutorial.md").read_text()))
    return 0


def notebook(page: str) -> str:
    """The page as a notebook of format 4.5, without results."""
    cells: list[dict[str, object]] = []
    for number, part in enumerate(_CODE.split(page)):
        if not part.strip():
            continue
        cell: dict[str, object] = {
            "id": f"part-{number}",
            "metadata": {},
            "source": part.strip().splitlines(True),
        }
        if number % 2:
            cells.append({"cell_type": "code", "execution_count": None, "outputs": [], **cell})
        else:
            cells.append({"cell_type": "markdown", **cell})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.exit(main())
