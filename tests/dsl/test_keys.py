"""Equal keys imply equal results: each mutation is executed in Python before and after, and the keys are compared."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

STEP = "@component(cache=Cache.by_content())\ndef answer() -> str:\n    return repr({0})\n"
HEAD = "from tiphys import Cache, Pipeline, component\n"
TAIL = '\nwith Pipeline("p") as pipeline:\n    answer()\n'
ASK = """
import json, sys
sys.path.insert(0, sys.argv[1])
import importlib
module = importlib.import_module(sys.argv[2])
try:
    key = [t["memoize"]["key"] for t in module.pipeline.to_dict()["spec"]["templates"] if "memoize" in t]
except Exception as error:
    key = str(error)
print(json.dumps([key, module.answer.function()]))
"""


def ask(folder: Path, files: dict[str, str], entry: str) -> tuple[str, str]:
    """(key or refusal, what the function gives), in a process of its own."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    command = [sys.executable, "-c", ASK, str(folder), entry]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    key, result = json.loads(done.stdout)
    return json.dumps(key), result


def pipeline(body: str, what: str) -> str:
    return HEAD + body + "\n\n" + STEP.format(what) + TAIL


H = {"helper.py": "N = 1\n\ndef h():\n    return N\n"}
OTHER = "N = 1", "N = 1001"
# name -> (files, entry, file that changes, (old, new))
MUTATIONS: dict[str, tuple[dict[str, str], str, str, tuple[str, str]]] = {
    "import of a module beside the file": (
        {**H, "p.py": pipeline("import helper", "helper.h()")}, "p", "helper.py", OTHER
    ),
    "from a module beside the file": (
        {**H, "p.py": pipeline("from helper import h", "h()")}, "p", "helper.py", OTHER
    ),
    "at two removes": (
        {
            "lib/__init__.py": "", "lib/a.py": "from deep import value\n\ndef h():\n    return value()\n",
            "deep.py": "N = 1\n\ndef value():\n    return N\n", "p.py": pipeline("from lib.a import h", "h()"),
        }, "p", "deep.py", OTHER,
    ),
    "a name that a package exports again": (
        {
            "pkg/__init__.py": "from pkg.helper import h\n", "pkg/helper.py": H["helper.py"],
            "p.py": pipeline("from pkg import h", "h()"),
        }, "p", "pkg/helper.py", OTHER,
    ),
    "a name that a package exports again, relatively": (
        {
            "pkg/__init__.py": "from .helper import h\n", "pkg/helper.py": H["helper.py"],
            "p.py": pipeline("from pkg import h", "h()"),
        }, "p", "pkg/helper.py", OTHER,
    ),
    "a step of a package that uses its package": (
        {
            "pkg/__init__.py": "from .helper import h\n", "pkg/helper.py": H["helper.py"],
            "pkg/steps.py": HEAD + "from . import h\n\n" + STEP.format("h()"),
            "p.py": HEAD + "from pkg.steps import answer\n" + TAIL,
        }, "p", "pkg/helper.py", OTHER,
    ),
    "a star": (
        {**H, "p.py": pipeline("from helper import *", "h()")}, "p", "helper.py", OTHER
    ),
    "a star, relatively": (
        {
            "pkg/__init__.py": "", "pkg/helper.py": H["helper.py"],
            "pkg/steps.py": HEAD + "from .helper import *\n\n" + STEP.format("h()"),
            "p.py": HEAD + "from pkg.steps import answer\n" + TAIL,
        }, "p", "pkg/helper.py", OTHER,
    ),
    "a change at the top level of a package's module": (
        {
            "pkg/__init__.py": "", "pkg/steps.py": HEAD + 'K = {}\nK["a"] = 1\n\n' + STEP.format("K"),
            "p.py": HEAD + "from pkg.steps import answer\n" + TAIL,
        }, "p", "pkg/steps.py", ('K["a"] = 1', 'K["a"] = 2'),
    ),
    "a method given later in a package's module": (
        {
            "pkg/__init__.py": "",
            "pkg/things.py": "class A:\n    pass\n\ndef m(self):\n    return 1\n\nA.m = m\n",
            "p.py": pipeline("from pkg.things import A", "A().m()"),
        }, "p", "pkg/things.py", ("return 1", "return 2"),
    ),
    "a package that changes its module on the way in": (
        {
            "pkg/__init__.py": "from pkg import inner\ninner.K['a'] = 1\n", "pkg/inner.py": "K = {}\n",
            "p.py": pipeline("from pkg.inner import K", "K"),
        }, "p", "pkg/__init__.py", ("= 1", "= 2"),
    ),
    "what a star brought, under a name that is bound again": (
        {
            "tables.py": "K = {1}\n",
            "p.py": pipeline("from tables import *\nif True:\n    K |= {3}", "K"),
        }, "p", "tables.py", ("K = {1}", "K = {2}"),
    ),
    "a module that is imported for its effect": (
        {
            "registry.py": "R = []\n", "plugins.py": "from registry import R\nR.append(1)\n",
            "p.py": pipeline("import plugins\nfrom registry import R", "R"),
        }, "p", "plugins.py", ("append(1)", "append(2)"),
    ),
    "a module that is imported for its effect by one that another step uses": (
        {
            "registry.py": "R = []\n\ndef register(f):\n    R.append(f(1))\n    return f\n",
            "plugins.py": "from registry import register\n\n@register\ndef one(x):\n    return x + 1\n",
            "words.py": "import plugins\nWORD = 'a'\n",
            "p.py": pipeline("from words import WORD\nfrom registry import R\n\ndef other():\n    return WORD", "R"),
        }, "p", "plugins.py", ("x + 1", "x + 2"),
    ),
    "a change of what a star brought": (
        {
            "tables.py": "K = [3, 1]\n",
            "p.py": pipeline("import heapq\nfrom tables import *\nheapq.heapify(K)", "K"),
        }, "p", "p.py", ("heapq.heapify(K)", "heapq"),
    ),
    "a change of what another module has, by an alias": (
        {
            "tables.py": "TABLE = [3, 1]\n",
            "p.py": pipeline("from tables import TABLE\nother = [TABLE]\nother[0].append(1)", "TABLE"),
        }, "p", "p.py", ("append(1)", "append(2)"),
    ),
    "a change in the pipeline's own file": (
        {"p.py": pipeline('K = {}\nK["a"] = 1', "K")}, "p", "p.py", ('K["a"] = 1', 'K["a"] = 2')
    ),
    "a blank at the end of a line in a string": (
        {"p.py": pipeline('K = """a \nb"""', "K")}, "p", "p.py", ("a \n", "a  \n")
    ),
    "a blank line in a string": (
        {"p.py": pipeline('K = """a\n\nb"""', "K")}, "p", "p.py", ("a\n\nb", "a\n\n\nb")
    ),
    "what looks like a comment in a string": (
        {"p.py": pipeline('K = """a\n# x\nb"""', "K")}, "p", "p.py", ("# x", "# y")
    ),
    "a docstring that is read": (
        {"p.py": pipeline('def f():\n    """one"""', "f.__doc__")}, "p", "p.py", ('"""one', '"""two')
    ),
}  # fmt: skip


@pytest.mark.parametrize(("files", "entry", "changed", "edit"), MUTATIONS.values(), ids=MUTATIONS)
def test_another_result_has_another_key(
    files: dict[str, str], entry: str, changed: str, edit: tuple[str, str], tmp_path: Path
) -> None:
    assert edit[0] in files[changed]
    key, result = ask(tmp_path / "one", files, entry)
    other = {**files, changed: files[changed].replace(*edit)}
    after_key, after = ask(tmp_path / "two", other, entry)
    assert result != after, "this mutation changes nothing: it judges nothing"
    assert key != after_key
    assert "sprig.sha256sum" in key and "sprig.sha256sum" in after_key


@pytest.mark.parametrize(
    "edit",
    [
        ("N = 1", "N = 1  # a comment"),
        ("N = 1", "\n\nN = 1"),
        ('"""Add."""', '"""Add one to it.\n\n    And say so.\n    """'),
        ("return x + N", "# before\n    return x + N  # behind"),
        ("Cache.by_content()", 'Cache.by_content(), title="A-title"'),
        ("Cache.by_content()", 'Cache.by_content(), resources=Resources(cpu="2")'),
    ],
)
def test_what_changes_no_result_changes_no_key(edit: tuple[str, str], tmp_path: Path) -> None:
    body = 'from tiphys import Resources\nN = 1\n\ndef add(x):\n    """Add."""\n    return x + N\n'
    text = pipeline(body, "add(1)")
    assert edit[0] in text
    one = ask(tmp_path / "one", {"p.py": text}, "p")
    two = ask(tmp_path / "two", {"p.py": text.replace(*edit)}, "p")
    assert one == two
    package = {"pkg/__init__.py": "", "pkg/steps.py": text.removesuffix(TAIL)}
    entry = {"p.py": HEAD + "from pkg.steps import answer\n" + TAIL}
    one = ask(tmp_path / "three", {**package, **entry}, "p")
    package["pkg/steps.py"] = package["pkg/steps.py"].replace(*edit)
    assert one == ask(tmp_path / "four", {**package, **entry}, "p")


ENV = """
from tiphys import Cache, Pipeline, TFJob, component
import json
importing = None

@component(cache=Cache.by_content(){0})
def step() -> str:
    import os
    return os.environ["LR"]

from trained import train
job = TFJob(train, name="train", cache=Cache.by_content(){1})
with Pipeline({2}) as pipeline:
    step{3}()
    job()

class answer:
    function = staticmethod(lambda: "")
"""
TRAINED = "from tiphys import Reference\n\ndef train(output: str, work: str) -> None:\n    pass\n"


def keys(folder: Path, *parts: str) -> list[str]:
    (folder).mkdir()
    (folder / "trained.py").write_text(TRAINED)
    (folder / "p.py").write_text(ENV.format(*parts))
    script = (
        "import sys, re; sys.path.insert(0, sys.argv[1]); import p, tiphys\n"
        "print('\\n'.join(re.findall(r'sprig.sha256sum.*', tiphys.to_yaml(p.pipeline))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True, timeout=60
    )
    return sorted(done.stdout.splitlines())


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ((', env={"LR": "0.1"}', "", '"p"', ""), (', env={"LR": "0.001"}', "", '"p"', "")),
        (("", ', env={"LR": "0.1"}', '"p"', ""), ("", ', env={"LR": "0.001"}', '"p"', "")),
        (("", "", '"p"', '.using(env={"LR": "0.1"})'), ("", "", '"p"', '.using(env={"LR": "0.001"})')),
    ],
    ids=["component", "training", "using"],
)
def test_the_environment_is_in_the_key(one: tuple[str, ...], two: tuple[str, ...], tmp_path: Path) -> None:
    """A training with a learning rate of 0.001 never hands out the model of 0.1."""
    first, second = keys(tmp_path / "one", *one), keys(tmp_path / "two", *two)
    assert first and len(first) == len(second)
    assert first != second
    assert first == keys(tmp_path / "again", *one)


def test_by_age_is_the_pipelines_own(tmp_path: Path) -> None:
    """Two teams with a step of one name do not get each other's results."""
    text = (
        "from tiphys import Cache, Pipeline, component\n\n@component(cache=Cache.by_age('1h'))\n"
        "def answer(path: str) -> str:\n    return {!r}\n\nwith Pipeline({!r}) as pipeline:\n    answer('x')\n"
    )
    found = []
    for folder, result, name in (("a", "A", "team-a"), ("b", "B", "team-b"), ("c", "C", "team-a")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "p.py").write_text(text.format(result, name))
        sys.modules.pop("p", None)
        sys.path.insert(0, str(tmp_path / folder))
        importlib.invalidate_caches()
        try:
            module = importlib.import_module("p")
        finally:
            sys.path.pop(0)
            sys.modules.pop("p", None)
        templates = module.pipeline.to_dict()["spec"]["templates"]
        found += [t["memoize"]["key"] for t in templates if "memoize" in t]
    assert found[0] != found[1]
    assert found[0] == found[2], "by age: whatever this pipeline's code is"
