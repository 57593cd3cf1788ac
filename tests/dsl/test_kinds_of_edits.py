"""Kinds of small edits, each executed before and after: another answer is another key, or is refused."""

from __future__ import annotations

import pytest

from tests.dsl.executed import executed, pipeline

pytestmark = pytest.mark.long


def starred(binding: str, name: str) -> dict[str, str]:
    """A pipeline that has its table by a star, binds it, and changes what is in it."""
    body = f"from lib import *\n{binding}\nfor place in [{name}['first']]:\n    place['v'] = 57"
    return {
        "lib.py": "PLACES = {'first': {}}\ndef view(): return PLACES['first']\n",
        "p.py": pipeline(body, "view()"),
    }


FILES = {
    "pk/__init__.py": "", "pk/t.txt": "1", "pk/s.py": "V = 1\nprint(V)\n", "cst.py": "PATH = 'pk/t.txt'\n",
    "pk/t.ini": "[a]\nb = 1\n", "pk/t.toml": "a = 1\n", "pk/t.xml": "<a>1</a>", "pk/t.pkl": "I1\n.",
}  # fmt: skip
# each reads one of these files, or runs it, in a way of its own
READS = (
    "from importlib import resources\ndef f(): return resources.files('pk').joinpath('t.txt').read_text()",
    "import json\nV = json.load(open('pk/t.txt'))\ndef f(): return V",
    "with open('pk/t.txt') as fh:\n    V = fh.read()\ndef f(): return V",
    "def f():\n    return open('pk/t.txt').read()",
    "import os\ndef f():\n    return open(os.path.join('pk', 't.txt')).read()",
    "FILE = 'pk/t.txt'\ndef f():\n    return open(FILE).read()",
    "o = open\ndef f():\n    return o('pk/t.txt').read()",
    "def f():\n    return [h.read() for h in map(open, ['pk/t.txt'])]",
    "def use(fn, p): return fn(p).read()\ndef f():\n    return use(open, 'pk/t.txt')",
    "from pathlib import Path\ndef f():\n    return Path.read_text(Path('pk/t.txt'))",
    "from pathlib import Path\ndef f():\n    return getattr(Path('pk/t.txt'), 'read_text')()",
    "import builtins\ndef f():\n    return builtins.open('pk/t.txt').read()",
    "import functools\nrd = functools.partial(open, 'pk/t.txt')\ndef f():\n    return rd().read()",
    "import io\ndef f():\n    return io.FileIO('pk/t.txt').read()",
    "import os\ndef f():\n    return os.read(os.open('pk/t.txt', os.O_RDONLY), 9)",
    "import configparser\ndef f():\n    c = configparser.ConfigParser(); c.read('pk/t.ini'); return c['a']['b']",
    "def f():\n    return open(file='pk/t.txt').read()",
    "import logging.config, json\ndef f():\n    import os\n    return os.stat('pk/t.txt').st_size",
    "import os\ndef f():\n    return os.path.getsize('pk/t.txt')",
    "from pathlib import Path\ndef f():\n    return Path('pk/t.txt').stat().st_size",
    "import shutil, tempfile\n"
    "def f():\n    d = tempfile.mkdtemp(); shutil.copy('pk/t.txt', d); return open(d + '/t.txt').read()",
    "import subprocess\ndef f():\n    return subprocess.run(['cat', 'pk/t.txt'], capture_output=True).stdout",
    "import subprocess\ndef f():\n    return subprocess.getoutput('cat pk/t.txt')",
    "import os\ndef f():\n    return os.popen('cat pk/t.txt').read()",
    "import subprocess, sys\n"
    "def f():\n    return subprocess.run([sys.executable, 'pk/s.py'], capture_output=True).stdout",
    "import subprocess, sys\n"
    "def f():\n    return subprocess.run([sys.executable, '-m', 'pk.s'], capture_output=True).stdout",
    "class Cfg:\n    path = 'pk/t.txt'\ndef f():\n    return open(Cfg.path).read()",
    "P_ = {'a': 'pk/t.txt'}\ndef f():\n    return open(P_['a']).read()",
    "def f():\n    return [open(x).read() for x in ['pk/t.txt']]",
    "def where():\n    return 'pk/t.txt'\ndef f():\n    return open(where()).read()",
    "def f(path='pk/t.txt'):\n    return open(path).read()",
    "import os\ndef f():\n    return open(os.environ.get('NOPE', 'pk/t.txt')).read()",
    "def f():\n    return open('pk/X.txt'.replace('X', 't')).read()",
    "def f():\n    return open('%s/t.txt' % 'pk').read()",
    "def f():\n    return open('/'.join(['pk', 't.txt'])).read()",
    "def f(p=None):\n    return open(p or 'pk/t.txt').read()",
    "class L:\n    def __init__(self): self.p = 'pk/t.txt'\n"
    "    def rd(self): return open(self.p).read()\ndef f():\n    return L().rd()",
    "import cst\ndef f():\n    return open(cst.PATH).read()",
    "from pathlib import Path\ndef f():\n    return (Path.cwd() / 'pk' / 't.txt').read_text()",
    "import sys, os\ndef f():\n    return open(os.path.dirname(os.path.abspath(sys.argv[0])) + '/pk/t.txt').read()",
    "import sys\ndef f():\n    return open(sys.path[0] + '/pk/t.txt').read()",
    "import glob\ndef f():\n    return sorted(glob.glob('pk/t*')) and open(sorted(glob.glob('pk/t*t'))[0]).read()",
    "import os\n"
    "def f():\n    return [open('pk/' + x).read() for x in sorted(os.listdir('pk')) if x.endswith('.txt')]",
    "import inspect, pk.s\ndef f():\n    return inspect.getsource(pk.s)",
    "import linecache\ndef f():\n    return linecache.getline('pk/t.txt', 1)",
    "import runpy\ndef f():\n    return runpy.run_module('pk.s')['V']",
    "def f():\n    d = {}; exec(open('pk/s.py').read(), d); return d['V']",
    "import pickle\ndef f():\n    return pickle.load(open('pk/t.pkl', 'rb'))",
    "import pk.s\ndef f():\n    return getattr(pk.s, 'V')",
    "import pkgutil\ndef f():\n    return pkgutil.resolve_name('pk.s:V')",
    "import importlib\ndef f():\n    return importlib.import_module('pk.s').V",
    "from importlib import import_module as im\ndef f():\n    return im('pk.' + 's'.lower()).V",
    "import importlib\nim = importlib.import_module\ndef f():\n    return im('pk.' + 's'.lower()).V",
    "import importlib\ndef f():\n    return getattr(importlib, 'import_module')('pk.s').V",
    "def f():\n    return __import__('pk.s', fromlist=['V']).V",
    "import builtins\ndef f():\n    return builtins.__import__('pk.s', fromlist=['V']).V",
    "import importlib\ndef f():\n    return [m.V for m in map(importlib.import_module, ['pk.s'])]",
    "def f():\n    d = {}; exec('import pk.s as m', d); return d['m'].V",
    "def f():\n    return eval(\"__import__('pk.s').s.V\")",
    "d = {}\nexec('import pk.s as m', d)\ndef f():\n    return d['m'].V",
    "def f():\n    d = {}; c = compile('import pk.s as m', 'x', 'exec'); exec(c, d); return d['m'].V",
    "import pydoc\ndef f():\n    return pydoc.locate('pk.s').V",
    "import tomllib\ndef f():\n    with open('pk/t.toml', 'rb') as h:\n        return tomllib.load(h)",
    "import numpy as np\ndef f():\n    return np.loadtxt('pk/t.txt')",
    "from numpy import loadtxt as lt\ndef f():\n    return lt('pk/t.txt')",
    "import numpy as np\nL = np.loadtxt\ndef f():\n    return L('pk/t.txt')",
    "import urllib.request, os\n"
    "def f():\n    return urllib.request.urlopen('file://' + os.getcwd() + '/pk/t.txt').read()",
    "import xml.etree.ElementTree as ET\ndef f():\n    return ET.parse('pk/t.xml').getroot().text",
    "import pathlib as pl\ndef f():\n    return pl.Path('pk/t.txt').read_text()",
    "from pathlib import Path\nX = Path('pk') / 't.txt'\ndef f():\n    return X.read_text()",
    "import asyncio\nasync def g():\n"
    "    return await asyncio.to_thread(open, 'pk/t.txt')\ndef f():\n    return asyncio.run(g()).read()",
    "from concurrent.futures import ThreadPoolExecutor\nfrom pathlib import Path\n"
    "def f():\n    with ThreadPoolExecutor() as e:\n        return list(e.map(Path.read_text, [Path('pk/t.txt')]))",
    "from pathlib import Path\ndef f():\n    return Path('pk/t.x').with_suffix('.txt').read_text()",
    "import contextlib\ndef f():\n    with contextlib.chdir('pk'):\n        return open('t.txt').read()",
)


def judge(before: dict[str, str], after: dict[str, str]) -> None:
    one, two = executed(before), executed(after)
    assert one.python != two.python, "this mutation changes nothing: it judges nothing"
    if one.refused or two.refused:
        assert (one.refused or two.refused).startswith(("TIP126", "TIP124"))
    else:
        assert one.key and two.key and one.key != two.key


@pytest.mark.parametrize("text", READS)
def test_what_is_read_counts_or_is_refused(text: str) -> None:
    """In the pipeline's file, and in a module beside it."""
    changed = next((name for name in FILES if name.startswith("pk/t.") and name in text), "pk/t.txt")
    if any(word in text for word in ("pk.s", "pk/s.py", "'pk.' +")):
        changed = "pk/s.py"
    other = {**FILES, changed: FILES[changed].replace("1", "22")}
    own = {"p.py": pipeline(text, "f()")}
    beside = {"lib.py": text, "p.py": pipeline("import lib", "lib.f()")}
    judge({**FILES, **own}, {**other, **own})
    judge({**FILES, **beside}, {**other, **beside})


# (files, the file that changes, (old, new))
EDITS: dict[str, tuple[dict[str, str], str, tuple[str, str]]] = {
    "an annotation that a model looks at": (
        {"lib.py": "import pydantic, typing\nLim = typing.Annotated[int, pydantic.Field(gt=1)]\n"
         "class R(pydantic.BaseModel):\n    a: Lim\n\ndef f():\n    try:\n        return str(R(a=2))\n"
         "    except ValueError:\n        return 'bad'\n", "p.py": pipeline("from lib import f", "f()")},
        "lib.py", ("gt=1", "gt=5"),
    ),
    "an annotation that is of another module": (
        {"kinds.py": "K = int\n", "p.py": pipeline("from lib import f", "f()"),
         "lib.py": "from dataclasses import dataclass, fields\nfrom kinds import K\n"
         "@dataclass\nclass A:\n    x: K = 1\n"
         "\ndef f():\n    return [str(f.type) for f in fields(A)]\n"}, "kinds.py", ("int", "str"),
    ),
    "an annotation that chooses a function": (
        {"lib.py": "import functools\nT = int\n@functools.singledispatch\ndef a(x): return 0\n@a.register\n"
         "def _(x: T): return 1\n", "p.py": pipeline("from lib import a", "a(1)")}, "lib.py", ("T = int", "T = str"),
    ),
    "an annotation that is asked for": (
        {"lib.py": "from typing import get_type_hints, Literal\nK = Literal[1]\ndef g(x: K): pass\n"
         "def f():\n    return get_type_hints(g)\n", "p.py": pipeline("from lib import f", "f()")},
        "lib.py", ("[1]", "[2]"),
    ),
    "a module that another import made an attribute": (
        {"a/__init__.py": "", "a/b.py": "X = 1\n", "c.py": "import a.b\n",
         "p.py": pipeline("import a\nimport c", "a.b.X")}, "a/b.py", ("X = 1", "X = 2"),
    ),
    "the docstring of a function that is used": (
        {"lib.py": "def g():\n    'one'\n", "p.py": pipeline("from lib import g", "g.__doc__")},
        "lib.py", ("one", "two"),
    ),
    "a comment in source that is looked at": (
        {"lib.py": "def g():\n    return 1  # one\n", "p.py": pipeline("import inspect\nfrom lib import g",
                                                                     "inspect.getsource(g)")}, "lib.py", ("one", "two"),
    ),
    "the number of a line that is looked at": (
        {"lib.py": "def g():\n    import sys\n    return sys._getframe().f_lineno\n",
         "p.py": pipeline("from lib import g", "g()")}, "lib.py", ("def g", "\n\ndef g"),
    ),
    "what a star brought, bound on and changed": (
        starred("PLACES |= {'or': 1}", "PLACES"), "p.py", ("57", "58"),
    ),
    "what a star brought, bound anew and changed": (
        starred("PLACES = PLACES or {}", "PLACES"), "p.py", ("57", "58"),
    ),
    "what a star brought, bound sometimes and changed": (
        starred("if not PLACES:\n    PLACES = {'first': {}}", "PLACES"), "p.py", ("57", "58"),
    ),
    "what a star brought, deleted and changed": (
        starred("P = PLACES\ndel PLACES", "P"), "p.py", ("57", "58"),
    ),
    "a pickle that names a module": (
        {"b.py": "X = 1\n", "lib.py": "import pickle\ndef f(): return pickle.loads(b'cb\\nX\\n.')\n",
         "p.py": pipeline("from lib import f", "f()")}, "b.py", ("X = 1", "X = 2"),
    ),
    "a star that brings another len": (
        {"lib.py": "def len(x): return 1\n", "p.py": pipeline("from lib import *", "len([])")}, "lib.py", ("1", "2"),
    ),
    "a module that answers for its names": (
        {"lib.py": "def __getattr__(name):\n    if name[0] == '_':\n        raise AttributeError(name)\n    return 1\n",
         "p.py": pipeline("from lib import x", "x")}, "lib.py", ("return 1", "return 2"),
    ),
    "a namespace package": (
        {"ns/b.py": "from .c import v\n", "ns/c.py": "v = 1\n", "p.py": pipeline("from ns.b import v", "v")},
        "ns/c.py", ("1", "2"),
    ),
    "the other branch of an import": (
        {"l1.py": "v = 1\n", "l2.py": "v = 2\n", "p.py": pipeline(
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from l1 import v\nelse:\n"
            "    from l2 import v", "v")},
        "l2.py", ("2", "3"),
    ),
    "an import that fails no more": (
        {"l2.py": "v = 2\n", "l1.py": "raise ImportError('no')\nv = 1\n",
         "p.py": pipeline("try:\n    import l1 as l\nexcept ImportError:\n    import l2 as l", "l.v")},
        "l1.py", ("raise ImportError('no')", "pass"),
    ),
    "names that a star may bring": (
        {"lib.py": "__all__ = ['v']\n__all__ += ['w']\nv = 1\nw = 5\n",
         "p.py": pipeline("w = 3\nfrom lib import *", "(v, w)")}, "lib.py", ("+= ['w']", "+= []"),
    ),
    "a base in the same file that lists what is made": (
        {"p.py": pipeline("KNOWN = []\nclass B:\n    def __init__(self, n):\n        KNOWN.append(n)\n\nclass C(B):\n"
                          "    pass\n\nc = C(1)", "KNOWN")}, "p.py", ("C(1)", "C(2)"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("files", "changed", "edit"), EDITS.values(), ids=EDITS)
def test_an_edit_counts(files: dict[str, str], changed: str, edit: tuple[str, str]) -> None:
    judge(files, {**files, changed: files[changed].replace(*edit)})


# what is not code, and files that nothing names
CALM = (
    ("lib.py", ("return N", "return N  # the number")),
    ("lib.py", ("N = 1", "\n\nN = 1")),
    ("lib.py", ('"""Give it."""', '"""Give the number, and say why."""')),
    ("lib.py", ("\n", "\r\n")),
    ("p.py", ("import lib", "import lib  # beside")),
    ("p.py", ("\n", "\r\n")),
    ("notes.txt", ("a", "b")),
)


@pytest.mark.parametrize(("changed", "edit"), CALM)
def test_what_is_no_code_does_not_count(changed: str, edit: tuple[str, str]) -> None:
    files = {"lib.py": 'N = 1\n\ndef f():\n    """Give it."""\n    return N\n', "notes.txt": "a",
             "p.py": pipeline("import lib", "lib.f()")}  # fmt: skip
    one = executed(files)
    assert one.key and one == executed({**files, changed: files[changed].replace(*edit)})
