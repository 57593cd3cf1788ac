"""Random pipeline files whose top-level statements change what a component reaches."""

from __future__ import annotations

import random

__all__ = ["module_text"]

_HEAD = """\
import collections
import contextlib
import functools
import heapq
import random as chance
from tiphys import Pipeline, component

def register(name):
    def keep(function):
        REGISTRY[name] = function
        return function
    return keep

def put(table, key, value):
    table[key] = value

def setup():
    PLACES["first"]["deep"] = 5
    NUMBERS.append(len(NUMBERS))

def view():
    return PLACES["first"]

def total(table):
    return sum(len(str(item)) for item in table)

@functools.singledispatch
def area(x):
    return "any"

@contextlib.contextmanager
def opened(table):
    table.append("in")
    yield table
    table.append("out")

class Shape:
    known = []
    def __init_subclass__(cls):
        Shape.known.append(cls.__name__)
    def __init__(self, size=1):
        self.size = size
        self.notes = []

class Plain:
    value = 1

SMALL = 3
PAIR = (1, 2)
PLACES = {"first": {}, "second": {"x": 1}}
NUMBERS = [3, 1, 2]
REGISTRY = {}
LOOSE = []
SHAPE = Shape(2)
COUNTS = collections.Counter("abca")
ROW = iter([7, 8, 9])
"""

# each may stand anywhere after the head, and at any depth of blocks
_CHANGES = (
    'PLACES["k{n}"] = {v}',
    'PLACES["second"]["y{n}"] = {v}',
    "PLACES.update(b{n}={v})",
    "NUMBERS.append({v})",
    "NUMBERS += [{v}, {v}]",
    "NUMBERS[0] = {v}",
    "del NUMBERS[-1:]",
    "NUMBERS.sort()",
    "heapq.heapify(NUMBERS)",
    "heapq.heappush(NUMBERS, {v})",
    "first_{n} = ROW.__next__",
    "taken_{n} = next(ROW, {v})",
    "gone_{n} = PLACES.pop('k{n}', {v})",
    "kept_{n} = PLACES.setdefault('s{n}', {v})",
    "Plain.value = {v}",
    "Plain.more_{n} = {v}",
    "setattr(Plain, 'set_{n}', {v})",
    "SHAPE.size += {v}",
    "SHAPE.notes.append('{n}')",
    "Shape.known.insert(0, '{n}')",
    "Plain.method = lambda self: {v}",
    "Plain.total = total",
    "COUNTS['a'] -= {v}",
    "COUNTS.subtract('b')",
    "setup()",
    "view()['far{n}'] = {v}",
    "put(PLACES, 'p{n}', {v})",
    "put(NUMBERS, 0, {v})",
    "result_{n} = put(view(), 'r{n}', {v})",
    "other_{n} = PLACES; other_{n}['o{n}'] = {v}",
    "part_{n} = PLACES['second']; part_{n}.update(q{n}={v})",
    "NUMBERS[1:2], PLACES['t{n}'] = [{v}], {v}",
    "again_{n} = [PLACES, NUMBERS]; again_{n}[0]['z{n}'] = {v}",
    "both_{n} = (SHAPE,); both_{n}[0].notes.append({v})",
    "list(map(NUMBERS.append, [{v}]))",
    "[NUMBERS.append(i) for i in range({v} % 3)]",
    "(lambda: NUMBERS.append({v}))()",
    "PLACES |= {{'or{n}': {v}}}",
    "total.note = {v}",
    "late_{n} = functools.partial(put, PLACES); late_{n}('w{n}', {v})",
    "chance.seed({v})",
    "used_{n} = list(ROW)",
    "for used_{n} in ROW:\n    break",
    "used_{n} = [x for x, _ in zip(ROW, '1')]",
    "sorted([1, 2], key=NUMBERS.append)",
    "used_{n} = list(map(lambda x: NUMBERS.append(x), [{v}]))",
    "used_{n} = list(map(REGISTRY.setdefault, ['m{n}'], [len]))",
    "LOOSE.append({v})",
    "SMALL += 1",
    "size_{n} = len(NUMBERS)",
    "(seen_{n} := NUMBERS).append({v})",
    "held_{n} = [mine_{n} := PLACES]; mine_{n}['h{n}'] = {v}",
    "[place.update(u{n}={v}) for place in PLACES.values() if isinstance(place, dict)]",
    "shown_{n} = [place.setdefault('v{n}', {v}) for place in (PLACES['first'], PLACES['second'])]",
)
_BLOCKS = (
    "for i_{n} in range(2):\n{body}",
    "for row_{n} in [*PLACES.values()]:\n    if isinstance(row_{n}, dict):\n        row_{n}.update(loop{n}=1)\n"
    "{body}",
    "if SMALL > 1:\n{body}\nelse:\n    NUMBERS.clear()",
    "try:\n{body}\nfinally:\n    NUMBERS.append('end')",
    "try:\n    raise KeyError({v})\nexcept KeyError:\n{body}",
    "with opened(NUMBERS) as inside_{n}:\n{body}\n    inside_{n}.append({v})",
    "with contextlib.suppress(Exception):\n{body}",
    "while len(NUMBERS) < 3:\n    NUMBERS.append({v})",
    "match PLACES:\n    case {'second': got_{n}}:\n        got_{n}['m{n}'] = {v}",
    "match SMALL:\n    case 3:\n        NUMBERS.append('three')\n    case _:\n        NUMBERS.append('other')",
)
_DEFINITIONS = (
    "@register('f{n}')\ndef registered_{n}(x):\n    return x + {v}",
    "@area.register\ndef _area_{n}(x: int):\n    return {v}",
    "@area.register(list)\ndef _area_{n}(x):\n    return {v}",
    "class Child{n}(Shape):\n    pass",
    "@register('c{n}')\nclass Registered{n}:\n    pass",
    "REGISTRY['l{n}'] = lambda x: x * {v}",
    "class Reset{n}:\n    NUMBERS.append({v})",
    "def change_{n}():\n    global SMALL\n    SMALL = {v}\n\nchange_{n}()",
    "def late_change_{n}():\n    for key in list(PLACES):\n        put(PLACES, key + '!', {v})\n\nlate_change_{n}()",
)
_ANSWERS = (
    "sorted(PLACES.items(), key=str)",
    "[str(x) for x in NUMBERS]",
    "Plain.value",
    "sorted(k for k in vars(Plain) if k[0] != '_')",
    "[SHAPE.size, SHAPE.notes]",
    "Shape.known",
    "sorted((k, v(1) if not isinstance(v, type) else v.__name__) for k, v in REGISTRY.items())",
    "sorted(COUNTS.items())",
    "next(ROW, None)",
    "[area(1), area([]), area('')]",
    "chance.random()",
    "SMALL",
    "[getattr(total, 'note', 0), total(NUMBERS)]",
    "view()",
    "[s.__name__ for s in Shape.__subclasses__()]",
    "PAIR",
)
_TAIL = """
@component
def answer() -> str:
    return repr(({answers},))

with Pipeline("generated") as pipeline:
    answer()

if __name__ == "__main__":
    NUMBERS.append("main")
"""


def module_text(seed: int, looks: int = 4) -> str:
    """The source of a module: objects, statements that change them, and the component ``answer`` that looks at up to
    ``looks`` of them.
    """
    random_ = random.Random(seed)

    def change(n: str) -> str:
        return random_.choice(_CHANGES).format(n=n, v=random_.randrange(100))

    def block(n: str, depth: int) -> str:
        lines = [change(f"{n}_{i}") for i in range(random_.randint(1, 2))]
        if depth and random_.random() < 0.4:
            lines.append(block(f"{n}_b", depth - 1))
        body = "\n".join("    " + line for text in lines for line in text.splitlines())
        around = random_.choice(_BLOCKS).replace("{n}", n).replace("{v}", str(random_.randrange(100)))
        return around.replace("{body}", body)

    parts = []
    for n in range(random_.randint(1, 6)):
        kind = random_.random()
        if kind < 0.55:
            parts.append(change(str(n)))
        elif kind < 0.8:
            parts.append(block(str(n), 2))
        else:
            parts.append(random_.choice(_DEFINITIONS).format(n=n, v=random_.randrange(100)))
    answers = ", ".join(random_.sample(_ANSWERS, random_.randint(1, looks)))
    return _HEAD + "\n" + "\n\n".join(parts) + "\n" + _TAIL.format(answers=answers)
