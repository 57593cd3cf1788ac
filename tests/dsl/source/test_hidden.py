"""What the code does not show is followed, refused or named: each mutation is executed before and after."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.dsl.test_keys import OTHER, H, ask, pipeline
from tiphys import DefinitionError

pytestmark = pytest.mark.long

TABLE = {"table.json": "[1]"}
ANSWER = "import json\nfrom pathlib import Path\n\ndef read(path):\n    return json.loads(path.read_text())"
# what the code shows by constants alone is followed; what it hides is refused with a cache by content
HIDDEN: dict[str, tuple[dict[str, str], str, tuple[str, str]]] = {
    "a module by a constant name": (
        {**H, "p.py": pipeline("import importlib", "importlib.import_module('helper').h()")}, "helper.py", OTHER
    ),
    "a module by a constant name, __import__": (
        {**H, "p.py": pipeline("", "__import__('helper').h()")}, "helper.py", OTHER
    ),
    "a module by a computed name": (
        {**H, "p.py": pipeline("import importlib", "importlib.import_module('hel' + 'per'[:3]).h()")},
        "helper.py", OTHER,
    ),
    "a module out of a list": (
        {**H, "p.py": pipeline("import importlib", "[importlib.import_module(n).h() for n in ['helper']]")},
        "helper.py", OTHER,
    ),
    "runpy": (
        {**H, "p.py": pipeline("import runpy", "runpy.run_path(__file__.replace('p.py', 'helper.py'))['N']")},
        "helper.py", OTHER,
    ),
    "a spec": (
        {
            **H, "p.py": pipeline(
                "from importlib import util\n\ndef bring(path):\n"
                "    spec = util.spec_from_file_location('x', path)\n    module = util.module_from_spec(spec)\n"
                "    spec.loader.exec_module(module)\n    return module",
                "bring(__file__.replace('p.py', 'helper.py')).N",
            ),
        }, "helper.py", OTHER,
    ),
    "a file beside the module": (
        {**TABLE, "reader.py": ANSWER + "\n\ndef table():\n    return read(Path(__file__).with_name('table.json'))\n",
         "p.py": pipeline("from reader import table", "table()")}, "table.json", ("1", "2"),
    ),
    "a file at the top of a module": (
        {**TABLE, "reader.py": "import json\nfrom pathlib import Path\n"
         "T = json.loads((Path(__file__).parent / 'table.json').read_text())\n",
         "p.py": pipeline("from reader import T", "T")}, "table.json", ("1", "2"),
    ),
    "open and os.path": (
        {**TABLE, "reader.py": "import json, os\nHERE = os.path.dirname(__file__)\n\ndef table():\n"
         "    with open(os.path.join(HERE, 'table.json')) as file:\n        return json.load(file)\n",
         "p.py": pipeline("import reader", "reader.table()")}, "table.json", ("1", "2"),
    ),
    "a file of a folder, chosen when it runs": (
        {"data/a.json": "[1]", "reader.py": "from pathlib import Path\nHERE = Path(__file__).parent / 'data'\n\n"
         "def table(kind):\n    return (HERE / f'{kind}.json').read_text()\n",
         "p.py": pipeline("import reader", "reader.table('a')")}, "data/a.json", ("1", "2"),
    ),
    "all files of a folder": (
        {"data/a.json": "[1]", "reader.py": "from pathlib import Path\n\ndef table():\n"
         "    return [f.read_text() for f in sorted(Path(__file__).with_name('data').glob('*.json'))]\n",
         "p.py": pipeline("import reader", "reader.table()")}, "data/a.json", ("1", "2"),
    ),
    "a resource": (
        {"pkg/__init__.py": "", "pkg/table.json": "[1]",
         "p.py": pipeline("from importlib import resources", "(resources.files('pkg') / 'table.json').read_text()")},
        "pkg/table.json", ("1", "2"),
    ),
    "a resource by name": (
        {"pkg/__init__.py": "", "pkg/table.json": "[1]",
         "p.py": pipeline("import pkgutil", "pkgutil.get_data('pkg', 'table.json')")}, "pkg/table.json", ("1", "2"),
    ),
    "the namespace": (
        {"lib/__init__.py": "", "lib/a.py": "def one():\n    return 1\n\ndef h():\n    return globals()['one']()\n",
         "p.py": pipeline("from lib.a import h", "h()")}, "lib/a.py", ("return 1", "return 2"),
    ),
    "eval": (
        {"lib/__init__.py": "", "lib/a.py": "def one():\n    return 1\n\ndef h():\n    return eval('one()')\n",
         "p.py": pipeline("from lib.a import h", "h()")}, "lib/a.py", ("return 1", "return 2"),
    ),
    "sys.modules": (
        {"lib/__init__.py": "", "lib/a.py": "def one():\n    return 1\n",
         "p.py": pipeline("import sys\nimport lib.a", "sys.modules['lib.a'].one()")},
        "lib/a.py", ("return 1", "return 2"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("files", "changed", "edit"), HIDDEN.values(), ids=HIDDEN)
def test_what_the_code_hides_is_followed_or_refused(
    files: dict[str, str], changed: str, edit: tuple[str, str], tmp_path: Path
) -> None:
    key, result = ask(tmp_path / "one", files, "p")
    after_key, after = ask(tmp_path / "two", {**files, changed: files[changed].replace(*edit)}, "p")
    assert result != after, "this mutation changes nothing: it judges nothing"
    assert key != after_key or "TIP126" in key
    if "TIP126" not in key:
        return
    # the author may answer for it, with the file that it is
    named = files["p.py"].replace("by_content()", f"by_content(), depends_on=['{changed}']")
    key, _ = ask(tmp_path / "three", {**files, "p.py": named}, "p")
    after_key, _ = ask(
        tmp_path / "four", {**files, "p.py": named, changed: files[changed].replace(*edit)}, "p"
    )
    assert "TIP" not in key and key != after_key


AT_IMPORT = (
    "import os\nRATE = os.environ['RATE_OF']",
    "import os\nRATE = os.environ.get('RATE_OF', '1')",
    "from os import getenv\n\nclass Settings:\n    rate = getenv('RATE_OF')\n\nRATE = Settings.rate",
    "import os\nRATE = {**os.environ}.get('RATE_OF')",
    "import os\nRATE = dict(os.environ)['RATE_OF']",
)


@pytest.mark.parametrize("body", AT_IMPORT)
def test_the_environment_at_import_is_refused(
    body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for value in ("1", "2"):
        monkeypatch.setenv("RATE_OF", value)
        found.append(ask(tmp_path / value, {"p.py": pipeline(body, "RATE")}, "p"))
    assert found[0][1] != found[1][1], "this mutation changes nothing: it judges nothing"
    assert found[0][0] != found[1][0] or "TIP126" in found[0][0]


# ordinary code: nothing of it makes a result depend on what the key does not hold
ORDINARY = {
    "a path that is an input": "def f(path='x'):\n    with open(path) as file:\n        return file.read()",
    "a path that comes of an input": (
        "from pathlib import Path\n\ndef f(folder='x'):\n    return (Path(folder) / 'a.json').read_text()"
    ),
    "a file that it wrote": (
        "def f():\n    with open('out.txt', 'w') as file:\n        file.write('a')\n    return open('out.txt').read()"
    ),
    "a temporary file": (
        "import tempfile, os\n\ndef f():\n    with tempfile.TemporaryDirectory() as folder:\n"
        "        with open(os.path.join(folder, 'a'), 'w') as file:\n            file.write('1')\n"
        "        return open(os.path.join(folder, 'a')).read()"
    ),
    "outputs of the step": (
        "import os\n\ndef f():\n    return open(os.path.join(os.environ['TIPHYS_OUTPUTS'], 'x')).read()"
    ),
    "the machine": "def f():\n    return open('/proc/cpuinfo').read()",
    "a reference": (
        "from tiphys import Reference\nfrom tiphys.reference import resolve\n\n"
        "def f(data: Reference = Reference('pvc://x/y')):\n    return (resolve(data.uri) / 'a.csv').read_text()"
    ),
    "an environment variable that is set": (
        "import os\nos.environ['A_SETTING'] = '1'\nX = os.environ['A_SETTING']\n\ndef f():\n    return X"
    ),
    "the environment in the step": "import os\n\ndef f():\n    return os.environ.get('TF_CONFIG', '')",
    "a default for a library": (
        "import os\nos.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')\n\ndef f():\n    return os.getpid()"
    ),
    "an installed module by name": (
        "import importlib\n\ndef f():\n    return importlib.import_module('json').dumps([1])"
    ),
    "a class with an open of its own": (
        "class Store:\n    def open(self, name):\n        return name\n\ndef f():\n    return Store().open('a.csv')"
    ),
    "text of its own": "def load(text):\n    return text.split()\n\ndef f():\n    return load('a b.csv')",
    "a path in an object": (
        "from pathlib import Path\n\nclass Table:\n    def __init__(self, path):\n        self.path = Path(path)\n"
        "    def rows(self):\n        return self.path.read_text()\n\ndef f(path='x'):\n    return Table(path).rows()"
    ),
}


@pytest.mark.parametrize("body", ORDINARY.values(), ids=ORDINARY)
def test_ordinary_code_is_not_refused(body: str, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(pipeline(body, "f()"))
    module = load_module(tmp_path / "p.py")
    assert [t["memoize"]["key"] for t in module.pipeline.to_dict()["spec"]["templates"] if "memoize" in t]


def load_module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
        return module
    finally:
        del sys.modules[path.stem]


def test_depends_on_names_what_is_there(tmp_path: Path) -> None:
    body = "def f():\n    return open('a.csv').read()"
    for entry, cause in (
        ("a.csv", "no such file"),
        ("module:nowhere", "no module"),
        ("env:X", "environment"),
    ):
        text = pipeline(body, "f()").replace("by_content()", f"by_content(), depends_on=[{entry!r}]")
        (tmp_path / "p.py").write_text(text)
        with pytest.raises(DefinitionError, match=cause) as refused:
            load_module(tmp_path / "p.py").pipeline.to_dict()
        assert refused.value.code == "TIP127"


NAMES_NOT = {
    "another file": ("", "open('y.json').read()", "y.json", ["x.json"]),
    "a file, and not the module": (
        "import importlib",
        "importlib.import_module('hel' + 'per'[:3])",
        "helper",
        ["x.json"],
    ),
    "a module, and not the file": ("", "open('y.json').read()", "y.json", ["module:helper"]),
    "a text about something else": ("", "open('y.json').read()", "y.json", ["text:x.json v2"]),
    "a file, and not the variable": (
        "import os\nRATE = os.environ['RATE_OF']",
        "RATE",
        "RATE_OF",
        ["x.json"],
    ),
    "a text, and not the variable": (
        "import os\nRATE = os.environ['RATE_OF']",
        "RATE",
        "RATE_OF",
        ["text:1"],
    ),
    "one of two": ("", "open('x.json').read() + open('y.json').read()", "y.json", ["x.json"]),
}


@pytest.mark.parametrize(("body", "what", "about", "named"), NAMES_NOT.values(), ids=NAMES_NOT)
def test_an_entry_answers_only_for_what_it_names(
    body: str, what: str, about: str, named: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATE_OF", "1")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "x.json").write_text("[1]")
    (tmp_path / "helper.py").write_text("N = 1\n")

    def compiled(depends_on: list[str]) -> object:
        text = pipeline(body, what).replace("by_content()", f"by_content(), depends_on={depends_on!r}")
        (tmp_path / "p.py").write_text(text)
        return load_module(tmp_path / "p.py").pipeline.to_dict()

    with pytest.raises(DefinitionError, match="TIP126") as refused:
        compiled(named)
    assert about in str(refused.value) or "importlib" in str(refused.value)
    right = {"helper": "module:helper", "RATE_OF": "text:RATE_OF=1"}.get(about, f"text:{about} v2")
    assert compiled([*named, right]) and compiled([])


@pytest.mark.parametrize("entry", ["data/t.csv", "data/*.csv", "data", "**/t.csv", "text:data/t.csv v2"])
def test_a_file_may_be_named_in_many_ways(
    entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep" / "data").mkdir(parents=True)
    (tmp_path / "deep" / "data" / "t.csv").write_text("1")
    monkeypatch.chdir(tmp_path)
    text = pipeline("", "open('data/t.csv').read()").replace(
        "content()", f"content(), depends_on=[{entry!r}]"
    )
    (tmp_path / "deep" / "p.py").write_text(text)
    assert load_module(tmp_path / "deep" / "p.py").pipeline.to_dict()


def test_a_training_is_refused_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATE_OF", "1")
    (tmp_path / "trained_alone.py").write_text(
        "import os\nRATE = float(os.environ['RATE_OF'])\n\ndef train(output: str, work: str) -> None:\n    pass\n"
    )
    text = (
        "import sys\nsys.path.insert(0, {0!r})\nfrom tiphys import Cache, TFJob\nfrom trained_alone import train\n"
        "job = TFJob(train, cache=Cache.by_content(){1})\n"
    )
    path = tmp_path / "p.py"
    path.write_text(text.format(str(tmp_path), ""))
    with pytest.raises(DefinitionError, match="RATE_OF") as refused:
        load_module(path)
    assert refused.value.code == "TIP126" and "trained_alone.py:2" in str(refused.value)
    for named in (", env={'RATE_OF': '0.1'}", ", depends_on=[]", ", depends_on=['text:RATE_OF=1']"):
        path.write_text(text.format(str(tmp_path), named))
        assert load_module(path).job
