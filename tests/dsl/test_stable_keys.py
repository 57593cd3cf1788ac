"""One program, one key: over processes, folders, hash seeds, line ends, encodings and versions of Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tiphys
from tests.dsl.generated_modules import module_text

# of tiphys only what reads source: another Python has none of its libraries
SCRIPT = """
import sys, types
sdk, folder = sys.argv[1:3]
sys.path[:0] = [sdk, folder]
for name in ("tiphys", "tiphys.dsl", "tiphys.compiler"):
    package = types.ModuleType(name)
    package.__path__ = [sdk + "/" + name.replace(".", "/")]
    sys.modules[name] = package
tiphys = sys.modules["tiphys"]
tiphys.component = lambda function: function

class Pipeline:
    def __init__(self, *given):
        pass
    def __enter__(self):
        return self
    def __exit__(self, *given):
        pass

tiphys.Pipeline = Pipeline
from tiphys.compiler.line import Site
from tiphys.dsl.source.digest import step_code
for name in sys.argv[3:]:
    try:
        module = __import__(name)
    except Exception:  # a generated file that is no program
        continue
    print(name, step_code(module.answer, Site(module.__file__, 1)).digest)
"""
SDK = str(Path(tiphys.__file__).parents[1])
TEXT = '''# -*- coding: {encoding} -*-
WORD = "Zürich"
LINES = """one
  two # no comment
"""


def part(x):
    """It says so."""
    return f"{{x!r:>4}} # {{LINES}}"  # a comment: ä


def answer() -> str:
    with open(part(1)) as one, open(part(2)) as two:
        return WORD + one.read() + two.read()
'''


def digests(folder: Path, *names: str, python: str = sys.executable, seed: str = "0") -> str:
    done = subprocess.run(
        [python, "-c", SCRIPT, SDK, str(folder), *names],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_folders_seeds_line_ends_and_encodings_do_not_count(tmp_path: Path) -> None:
    written = {
        "plain": TEXT.format(encoding="utf-8").encode(),
        "elsewhere": TEXT.format(encoding="utf-8").encode(),
        "crlf": TEXT.format(encoding="utf-8").replace("\n", "\r\n").encode(),
        "mark": b"\xef\xbb\xbf" + TEXT.format(encoding="utf-8").encode(),
        "latin": TEXT.format(encoding="latin-1").encode("latin-1"),
    }
    found = set()
    for number, (name, data) in enumerate(written.items()):
        (tmp_path / name).mkdir()
        (tmp_path / name / "work.py").write_bytes(data)
        found.add(digests(tmp_path / name, "work", seed=str(number)))
    assert len(found) == 1 and "work" in found.pop()
    (tmp_path / "plain" / "work.py").write_bytes(written["plain"].replace(b"two #", b"two ##"))
    assert digests(tmp_path / "plain", "work") != digests(tmp_path / "latin", "work"), "a string does count"


def others() -> list[str]:
    """Pythons of other minor versions: those on the path, those of pyenv, and those that TIPHYS_OTHER_PYTHONS names."""
    named = os.environ.get("TIPHYS_OTHER_PYTHONS", "").split(os.pathsep)
    minors = [minor for minor in range(11, 20) if minor != sys.version_info.minor]
    known = [shutil.which(f"python3.{minor}") for minor in minors]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    if os.access(pyenv, os.R_OK | os.X_OK):  # PYENV_ROOT may be another user's
        known += [str(next(pyenv.glob(f"3.{minor}.*/bin/python3.{minor}"), "")) for minor in minors]
    return [python for python in [*named, *known] if python and _runs(python)]


def _runs(python: str) -> bool:
    """A name on the path may be a stand-in for one that is not installed."""
    return subprocess.run([python, "-c", ""], capture_output=True, timeout=60, check=False).returncode == 0


@pytest.mark.skipif(
    not others(), reason="no other Python here: put python3.12 on the path or into TIPHYS_OTHER_PYTHONS"
)
def test_another_python_gives_the_same_key(tmp_path: Path) -> None:
    names = [f"m{seed}" for seed in range(100)]
    for seed, name in enumerate(names):
        (tmp_path / f"{name}.py").write_text(module_text(seed))
    (tmp_path / "work.py").write_text(TEXT.format(encoding="utf-8"))
    here = digests(tmp_path, "work", *names)
    assert here.count("\n") > 50
    for python in others():
        assert digests(tmp_path, "work", *names, python=python) == here, python
