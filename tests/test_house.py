"""The house stays as docs/architecture.md draws it: floors, names, sizes, and a test for each module."""

from __future__ import annotations

import ast
import runpy
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HOUSE = ROOT / "sdk" / "tiphys"
MODULES = sorted(each for each in HOUSE.rglob("*.py") if "_pb2" not in each.name)  # generated
LONGEST = 500
LISTS = Path(__file__).with_name("house")


def listed(name: str) -> set[str]:
    """The lines of a list that may only shrink."""
    lines = (LISTS / name).read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def test_the_floors_hold_and_there_are_no_circles() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [str(lint_imports), "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


def test_the_drawing_is_the_code() -> None:
    """`python scripts/architecture.py` draws it anew: each room's row is its docstring."""
    drawing = runpy.run_path(str(ROOT / "scripts" / "architecture.py"))
    assert (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8") == drawing["page"]()


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_a_module_is_about_one_thing_and_says_which(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST
    assert ast.get_docstring(ast.parse(text))


def test_no_two_public_classes_have_one_name() -> None:
    places = defaultdict(set)
    for module in MODULES:
        for node in ast.parse(module.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].add(module)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_each_module_has_a_test_of_its_name() -> None:
    """``sdk/tiphys/argo/cron.py`` is tested by ``tests/argo/test_cron.py``, or by ``tests/argo/cron/test_*.py``."""
    without = set()
    for module in MODULES:
        name = module.relative_to(HOUSE)
        if module.name.startswith("__"):
            continue
        folder = ROOT / "tests" / name.parent
        stem = name.stem.lstrip("_")
        if not (folder / f"test_{stem}.py").exists() and not list(folder.glob(f"{stem}/test_*.py")):
            without.add(name.as_posix())
    new, gone = without - listed("without_a_test.txt"), listed("without_a_test.txt") - without
    assert not new, "give these a test of their name"
    assert not gone, "take these off tests/house/without_a_test.txt: they have one, or are gone"


def _speaks_of_any_json(tree: ast.Module) -> bool:
    """An alias of ``Any``, or a list or mapping of it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            named = node.value
        elif (
            isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in _HOLDERS
        ):
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            named = parts[-1]
        else:
            continue
        if isinstance(named, ast.Name) and named.id == "Any":
            return True
    return False


_HOLDERS = {"dict", "list", "Mapping", "MutableMapping", "Sequence", "Iterable", "Iterator"}


def test_any_is_json_only_where_bytes_are_read() -> None:
    """What has a schema is a TypedDict of ``argo``, what has none ``jsontypes.Json``, what is only read ``object``."""
    found = set()
    for module in MODULES:
        text = module.read_text(encoding="utf-8")
        if "Any" in text and _speaks_of_any_json(ast.parse(text)):
            found.add(module.relative_to(HOUSE).as_posix())
    known = listed("any_as_json.txt")
    assert not found - known, "give these values their types"
    assert not known - found, "take these off tests/house/any_as_json.txt: they have their types, or are gone"


def test_types_of_argos_objects_are_the_schemas() -> None:
    """`python scripts/argo_types.py` writes them anew."""
    script = runpy.run_path(str(ROOT / "scripts" / "argo_types.py"))
    for file, text in script["texts"]().items():
        formatted = text
        for words in (["check", "--fix-only"], ["format"]):
            formatted = subprocess.run(
                [str(Path(sys.executable).with_name("ruff")), *words, "--stdin-filename", "sdk/types.py", "-"],
                cwd=ROOT, input=formatted, capture_output=True, text=True, check=True,
            ).stdout  # fmt: skip
        assert (HOUSE / "argo" / file).read_text(encoding="utf-8") == formatted


@pytest.mark.parametrize("module", ["tiphys.cli", "tiphys.runs", "tiphys.engine"])
def test_no_command_pays_for_types(module: str) -> None:
    """The TypedDicts take milliseconds to make and nothing to leave out: they are imported under TYPE_CHECKING."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    types = {f"tiphys.argo.{name}" for name in ("types", "pod_types", "volume_types", "manifest_types")}
    assert not types & set(done.stdout.split())
