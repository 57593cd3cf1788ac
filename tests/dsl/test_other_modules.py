"""What changes another module is in the key of who uses that one, and in its step: executed before and after."""

from __future__ import annotations

import pytest

from tests.dsl.executed import executed, pipeline

pytestmark = pytest.mark.long

REGISTRY = {
    "b.py": "REGISTRY = {}\n\ndef total():\n    return sum(f() for f in REGISTRY.values())\n",
    "a.py": "import b\n\ndef register(f):\n    b.REGISTRY[f.__name__] = f\n    return f\n",
}
STATE = {
    "b.py": "STATE = []\n\ndef total():\n    return STATE\n",
    "a.py": "import b\n\ndef configure(n):\n    b.STATE.append(n)\n    return n\n",
}
ONE = "@register\ndef one():\n    return 1\n"
# what a module B reads is changed by way of A: (files without the pipeline's, the statements, of which 1 becomes 2)
REGISTERED: dict[str, tuple[dict[str, str], str]] = {
    "a decorator of A": (REGISTRY, "from a import register\n\n" + ONE),
    "a decorator of A, which took the table by name": (
        {**REGISTRY, "a.py": "from b import REGISTRY\n\ndef register(f):\n    REGISTRY['x'] = f\n    return f\n"},
        "from a import register\n\n" + ONE,
    ),
    "a decorator that A exports again": (
        {"b.py": REGISTRY["b.py"] + "\n\ndef register(f):\n    REGISTRY['x'] = f\n    return f\n",
         "a.py": "from b import register as enlist\n"}, "from a import enlist as register\n\n" + ONE,
    ),
    "a decorator of a class, with arguments": (
        {"b.py": "class R:\n    items = {}\n    @classmethod\n    def add(cls, name):\n        def keep(f):\n"
         "            cls.items[name] = f\n            return f\n        return keep\n\n"
         "def total():\n    return [f() for f in R.items.values()]\n"},
        "from b import R\n\n@R.add('x')\ndef one():\n    return 1\n",
    ),
    "an object that is called": (
        {"b.py": "class R:\n    def __init__(self):\n        self.items = []\n    def __call__(self, f):\n"
         "        self.items.append(f)\n        return f\n\nreg = R()\n"
         "\ndef total():\n    return [f() for f in reg.items]\n",
         "a.py": "from b import reg as register\n"}, "from a import register\n\n" + ONE,
    ),
    "a call": (REGISTRY, "from a import register\n\ndef one():\n    return 1\n\nregister(one)\n"),
    "a call that gives a value": (STATE, "from a import configure\nx = configure(1)\n"),
    "a call in a function": (STATE, "from a import configure\n\ndef go():\n    return configure(1)\n\ny = go()\n"),
    "a metaclass": (
        {"b.py": "TABLE = []\n\nclass Meta(type):\n    def __init__(cls, name, bases, ns):\n"
         "        TABLE.append(ns['v'])\n\n"
         "class Base(metaclass=Meta):\n    v = 0\n\ndef total():\n    return TABLE\n"},
        "from b import Base\n\nclass One(Base):\n    v = 1\n",
    ),
    "a base that is told of its children": (
        {"b.py": "TABLE = []\n\nclass Base:\n    def __init_subclass__(cls):\n        TABLE.append(cls.v)\n\n"
         "def total():\n    return TABLE\n"}, "from b import Base\n\nclass One(Base):\n    v = 1\n",
    ),
    "a base that asks for its children": (
        {"b.py": "class Base:\n    v = 0\n\ndef total():\n    return [c.v for c in Base.__subclasses__()]\n"},
        "from b import Base\n\nclass One(Base):\n    v = 1\n",
    ),
    "a descriptor that is told its name": (
        {"b.py": "T = []\n\nclass D:\n    def __init__(self, n):\n        self.n = n\n"
         "    def __set_name__(self, owner, name):\n        T.append((name, self.n))\n\ndef total():\n    return T\n"},
        "from b import D\n\nclass One:\n    x = D(1)\n",
    ),
    "a class that lists what is made of it": (
        {"b.py": "T = []\n\nclass D:\n    def __init__(self, n):\n        T.append(n)\n\ndef total():\n    return T\n"},
        "from b import D\nx = D(1)\n",
    ),
    "a function by type": (
        {"b.py": "import functools\n\n@functools.singledispatch\ndef area(x):\n    return 0\n\n"
         "def total():\n    return area(3)\n"}, "from b import area\n\n@area.register\ndef _(x: int):\n    return 1\n",
    ),
}  # fmt: skip
LIB = (
    "import decimal\nrate = 0.5\nconf = {'rate': 0.5}\n\nclass Obj:\n    rate = 0.5\n\nobj = Obj()\n\ndef table():\n"
    "    return conf\n\ndef f():\n    return rate, conf, obj.rate, decimal.Decimal(1) / 3\n"
)
# changes of what the module lib has: 1 becomes 2
CHANGES = (
    "import lib as l\nl.rate = 0.1",
    "import lib\nx = lib\nx.rate = 0.1",
    "import lib as l\nsetattr(l, 'rate', 0.1)",
    "import lib as l\nx = setattr(l, 'rate', 0.1)",
    "import lib as l\nl.__dict__['rate'] = 0.1",
    "import lib as l\nvars(l).update(rate=0.1)",
    "from lib import conf\nconf['rate'] = 0.1",
    "from lib import conf as c\nc |= {'rate': 0.1}",
    "from lib import obj\nobj.rate = 0.1",
    "from lib import Obj\nObj.rate = 0.1",
    "from lib import conf\nx = conf.update(rate=0.1)",
    "from lib import table\nx = table()\nx['rate'] = 0.1",
    "import lib\nlib.table()['rate'] = 0.1",
    "import lib as l\nl.f.__globals__['rate'] = 0.1",
    "import lib\n\ndef s(m, v):\n    return setattr(m, 'rate', v)\n\ny = s(lib, 0.1)",
    "import lib\nfor m in [lib]:\n    m.rate = 0.1",
    "import lib\nMODS = {'a': lib}\nMODS['a'].rate = 0.1",
    "from unittest import mock\nimport lib\nmock.patch.object(lib, 'rate', 0.1).start()",
    "from unittest import mock\nmock.patch('lib.rate', 0.1).start()",
    "import lib\nfor lib.rate in [0.1]:\n    pass",
    "import lib\nlib.rate, z = 0.1, 2",
    "import lib\n(l := lib).rate = 0.1",
    "import lib\nx = list(map(lambda v: setattr(lib, 'rate', v), [0.1]))",
    "import lib, functools\ns = functools.partial(setattr, lib, 'rate')\ns(0.1)",
    "import lib, operator\noperator.setitem(lib.conf, 'rate', 0.1)",
    "import lib\n\nclass Setup:\n    lib.conf.update(rate=0.1)",
    "try:\n    import lib as l\nexcept ImportError:\n    l = None\nl.rate = 0.1",
    "import lib\n\ndef g(x=lib.conf.update(rate=0.1)):\n    pass",
    "import lib\nx = [lib.conf.update(rate=v) for v in (0.1,)]",
    "import lib\nassert lib.conf.update(rate=0.1) is None",
    "import lib\nx = f'{lib.conf.update(rate=0.1)}'",
    "import lib\nmatch 2:\n    case 2 if lib.conf.update(rate=0.1) is None:\n        pass",
    "import lib\n\ndef d(v):\n    lib.rate = v\n    return lambda f: f\n\n@d(0.1)\ndef g():\n    pass",
    "from decimal import getcontext\ngetcontext().prec = 10",
    "import decimal\ndecimal.setcontext(decimal.Context(prec=10))",
    "import decimal\nold = decimal.setcontext(decimal.Context(prec=10))",
)


def judge(before: dict[str, str], after: dict[str, str]) -> None:
    """Another answer in Python is another key, and the step gives what Python gives."""
    one, two = executed(before), executed(after)
    assert one.python != two.python, "this mutation changes nothing: it judges nothing"
    assert not one.refused and not two.refused
    assert (one.step, two.step) == (one.python, two.python)
    assert one.key != two.key


def either(files: dict[str, str], body: str, imports: str, what: str, where: str) -> list[dict[str, str]]:
    """The program with 1, and with 2: the statements in the pipeline's file, or in a module that it imports."""
    found = []
    for text in (body, body.replace("1", "2")):
        if where == "the pipeline":
            found.append({**files, "p.py": pipeline(f"{text}\n{imports}", what)})
        elif where == "a module":
            found.append({**files, "c.py": text, "p.py": pipeline(f"import c\n{imports}", what)})
        else:
            text += "\n\ndef nothing():\n    return 0\n"
            found.append({**files, "c.py": text, "p.py": pipeline(f"from c import nothing\n{imports}", what)})
    return found


WHERE = ("the pipeline", "a module", "a module of which a name is taken")


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(("files", "body"), REGISTERED.values(), ids=REGISTERED)
def test_what_is_registered_counts(files: dict[str, str], body: str, where: str) -> None:
    judge(*either(files, body, "from b import total", "total()", where))


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("body", CHANGES)
def test_a_change_of_another_module_counts(body: str, where: str) -> None:
    judge(*either({"lib.py": LIB}, body, "import lib", "lib.f()", where))


# statements that change nothing of what the step uses: they stay, and do not count
APART = (
    "import lib\nOTHER = lib.twice(1)",
    "import lib\n\nclass Mine(lib.Settings):\n    size = 1",
    "import lib\nMINE = lib.Settings(1)",
    "import lib\nmine = lib.rate + 1",
    "import other\nother.value = 1",
    "import other\nother.set_up(1)",
    "import json\nWORD = json.dumps(1)",
    "import logging\nlog = logging.getLogger('1')",
)
CALM = {
    "lib.py": "rate = 5\n\nclass Settings:\n    size = 0\n    def __init__(self, size=0):\n        self.size = size\n\n"
    "def twice(n):\n    return n * 2\n\ndef f():\n    return rate\n",
    "other.py": "value = 0\n\ndef set_up(n):\n    global value\n    value = n\n",
}


@pytest.mark.parametrize("body", APART)
def test_what_changes_nothing_that_is_used_does_not_count(body: str) -> None:
    one, two = (executed(files) for files in either(CALM, body, "import lib", "lib.f()", "the pipeline"))
    assert one == two and one.key and one.step == one.python
