"""Each code has one meaning, written once in docs/errors.md, with the rooms of the house that use it.

A code that turns up in another room fails here until its row says so: the moment to see whether it means the same.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tiphys.lint import catalogue

ROOT = Path(__file__).resolve().parents[1]
CODE = re.compile(r"TIP\d{3}")
ROW = re.compile(r"\| (TIP\d{3}) \|(?:.*\|)? ([\w, ]+) \|")


def raised(tree: ast.AST) -> Iterator[str]:
    """The codes that are given to something: an argument, or a value of a mapping. Not those that are compared."""
    for node in ast.walk(tree):
        values: list[ast.expr | None] = []
        if isinstance(node, ast.Call):
            values = [*node.args, *(keyword.value for keyword in node.keywords)]
        elif isinstance(node, ast.Dict):
            values = list(node.values)
        for value in values:
            if (
                isinstance(value, ast.Constant)
                and isinstance(value.value, str)
                and CODE.fullmatch(value.value)
            ):
                yield value.value


def used() -> dict[str, set[str]]:
    """Each code with the rooms that raise it."""
    found: dict[str, set[str]] = {}
    for base in (ROOT / "sdk" / "tiphys", ROOT / "components"):
        for file in sorted(base.rglob("*.py")):
            room = (
                base.name
                if base.name == "components"
                else file.relative_to(base).parts[0].removesuffix(".py")
            )
            for code in raised(ast.parse(file.read_text())):
                found.setdefault(code, set()).add(room)
    return found


def test_each_code_is_listed_once_with_the_rooms_that_use_it() -> None:
    rows = ROW.findall((ROOT / "docs" / "errors.md").read_text())
    listed = {code: set(rooms.split(", ")) for code, rooms in rows}
    assert [code for code, _ in rows] == sorted(listed), "twice, or not in order"
    assert listed == used()


def test_no_other_page_lists_codes() -> None:
    for page in sorted((ROOT / "docs").glob("*.md")):
        if page.name != "errors.md":
            assert not re.search(r"^\| TIP\d{3}", page.read_text(), re.MULTILINE), page.name


def test_rules_of_the_linter_have_codes_of_their_own() -> None:
    assert not [code for code in catalogue if CODE.fullmatch(code)]
