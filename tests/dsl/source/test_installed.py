"""A name is of the distributions that Python's own importlib.metadata says, and a step's key holds their versions."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

from tests.dsl.test_keys import ask, pipeline
from tiphys.dsl.source.installed import installed


def test_the_same_as_importlib_metadata() -> None:
    everything = importlib.metadata.packages_distributions()
    judged = 0
    for top, names in everything.items():
        if not top.isidentifier() or top.startswith("_") or top == "tiphys":
            continue
        given = {
            re.sub(r"[-_.]+", "-", name).lower() + "==" + importlib.metadata.version(name) for name in names
        }
        found = installed(top)
        if found:
            assert set(found) == given, top
            judged += 1
    assert judged > 30


def library(folder: Path, version: str) -> None:
    (folder / "site-packages" / "somelib").mkdir(parents=True)
    (folder / "site-packages" / "somelib" / "__init__.py").write_text(f"V = {version!r}\n")
    info = folder / "site-packages" / f"some_lib-{version}.dist-info"
    info.mkdir()
    (info / "RECORD").write_text("somelib/__init__.py,,\n")


def test_another_version_of_a_library_is_another_key(tmp_path: Path) -> None:
    answers = []
    for folder, version in (("one", "1.0"), ("two", "2.0"), ("again", "1.0")):
        library(tmp_path / folder, version)
        files = {
            "start.py": "import sys\nfrom pathlib import Path\n"
            "sys.path.insert(0, str(Path(__file__).parents[1] / 'site-packages'))\n",
            "lib.py": "def f():\n    import somelib\n    return somelib.V\n",
            "p.py": "import start\n" + pipeline("from lib import f", "f()"),
        }
        answers.append(ask(tmp_path / folder / "project", files, "p"))
    one, two, again = answers
    assert one[1] != two[1] and one[0] != two[0]
    assert one == again
