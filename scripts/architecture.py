"""Draw docs/architecture.md from the code: floors from pyproject.toml, sentences from docstrings, arrows from imports.

python scripts/architecture.py            write the drawing and the table between the page's marks
"""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
HOUSE = ROOT / "sdk" / "tiphys"
_BEGIN, _END = "<!-- drawn by scripts/architecture.py -->\n", "<!-- end of the drawing -->"


def floors(container: str) -> list[list[str]]:
    """The floors of a container of rooms, the highest first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    found = next(item for item in contracts if item.get("containers") == [container])
    return [[room.strip() for room in layer.split("|")] for layer in found["layers"]]


def sentence(room: Path) -> str:
    """The first sentence of a room's docstring: what it is."""
    file = room / "__init__.py" if room.is_dir() else room.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return text.split("\n\n")[0].replace("\n", " ").strip()


def arrows(container: str) -> dict[str, set[str]]:
    """For each room of a container those whose modules it imports, in code that may never run, too."""
    graph = grimp.build_graph("tiphys", cache_dir=None)
    found: dict[str, set[str]] = {}
    depth = container.count(".") + 1
    for module in graph.modules:
        if not module.startswith(container + "."):
            continue
        for other in graph.find_modules_directly_imported_by(module):
            if other.startswith(container + "."):
                a, b = module.split(".")[depth], other.split(".")[depth]
                if a != b:
                    found.setdefault(a, set()).add(b)
    return found


def _essential(found: dict[str, set[str]]) -> dict[str, set[str]]:
    """The arrows without those that a longer way says already."""

    def reached(room: str, seen: set[str]) -> set[str]:
        for below in found.get(room, ()):
            if below not in seen:
                seen.add(below)
                reached(below, seen)
        return seen

    return {
        room: {one for one in below if not any(one in reached(other, set()) for other in below - {one})}
        for room, below in found.items()
    }


def drawn() -> str:
    """The part of the page between the marks."""
    lines = []
    for container, title in (("tiphys", "The house"), ("tiphys.engine", "The engine's own floors")):
        rooms = floors(container)
        knows = arrows(container)
        place = HOUSE.joinpath(*container.split(".")[1:])
        lines += [f"### {title}", "", "```mermaid", "flowchart TD"]
        for number, floor in enumerate(rooms):
            lines += [f'  subgraph f{number}[" "]', *(f'    {room}["{room}"]' for room in floor), "  end"]
        for room, below in sorted(_essential(knows).items()):
            lines += [f"  {room} --> {other}" for other in sorted(below)]
        lines += ["```", "", "| room | is | knows |", "|---|---|---|"]
        for floor in rooms:
            for room in floor:
                names = ", ".join(sorted(knows.get(room, ())))
                lines.append(f"| `{room}` | {sentence(place / room)} | {names} |")
        lines.append("")
    return "\n".join(lines)


def page() -> str:
    """The whole page as it should be."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    return f"{before}{_BEGIN}\n{drawn()}\n{_END}{rest.partition(_END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
