"""The walk over a file's statements sees what Python executes at import: the judge is Python's own trace."""

from __future__ import annotations

import ast
import sys
from types import FrameType
from typing import Any

from tiphys.dsl.source.statements import BLOCKS, DEFINITIONS, walk

TEXT = """\
a = []
for i in range(2):
    a.append(i)
    if i:
        a.append("if")
    else:
        a.append("else")
try:
    a.append("try")
    raise KeyError
except KeyError:
    a.append("except")
finally:
    a.append("finally")
def never():
    a.append("never")
class Body:
    inside = 1
match a:
    case []:
        pass
    case [*rest]:
        a.append("match")
while len(a) < 9:
    a.append("while")
if __name__ == "__main__":
    a.append("main")
"""


def test_what_is_walked_is_what_runs() -> None:
    lines = set()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line" and frame.f_code.co_name == "<module>":
            lines.add(frame.f_lineno)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        exec(compile(TEXT, "traced", "exec"), {"__name__": "imported"})
    finally:
        sys.settrace(before)
    walked = {s.lineno for s in walk(ast.parse(TEXT).body) if not isinstance(s, (*BLOCKS, *DEFINITIONS))}
    branches_not_taken = {21}
    assert walked - branches_not_taken == {n for n in lines if n in walked}
    assert not any(
        TEXT.splitlines()[n - 1].strip().startswith(('a.append("never', 'a.append("main')) for n in walked
    )
