"""The step that travels is the program that was written: each file is executed in Python and as a step, and compared.

The judge is Python: the module is imported and its function called; then the script that a step would run is executed.
"""

from __future__ import annotations

import importlib.util
import os
import random
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.dsl.generated_modules import module_text
from tiphys import DefinitionError
from tiphys.dsl.components import Component
from tiphys.dsl.source.embed import script_source

pytestmark = pytest.mark.long

GENERATED = int(os.environ.get("TIPHYS_GENERATED_MODULES", "2000"))


class NoProgramError(Exception):
    """The generated file cannot even be imported."""


def load(text: str, folder: Path, name: str) -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def as_a_step(component: Component, folder: Path) -> str:
    """What the step's script writes as its result."""
    script = script_source(component.function, component.signature, component.site)
    outputs = folder / "outputs"
    os.environ["TIPHYS_OUTPUTS"] = str(outputs)
    try:
        exec(compile(script, "<step>", "exec"), {"__name__": "__main__"})
    finally:
        del os.environ["TIPHYS_OUTPUTS"]
    return (outputs / "result").read_text()


def both(text: str, folder: Path, name: str = "written") -> tuple[str, str]:
    """The function's answer in Python, and the step's. Each begins with the process's own state as it was before."""
    random.seed(0)
    begin, environ = random.getstate(), dict(os.environ)
    try:
        try:
            module = load(text, folder, name)
        except Exception as error:
            raise NoProgramError from error
        imported, changed = random.getstate(), dict(os.environ)
        _become(begin, environ)
        step = _outcome(lambda: as_a_step(module.answer, folder))
        _become(imported, changed)
        return _outcome(module.answer.function), step
    finally:
        sys.modules.pop(name, None)
        _become(begin, environ)


def _outcome(call: Callable[[], str]) -> str:
    """What it gives, or the exception: a function that fails in Python must fail as a step, too."""
    try:
        return call()
    except DefinitionError:
        raise
    except (ArithmeticError, AttributeError, LookupError, NameError, TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def _become(state: Any, environ: dict[str, str]) -> None:
    random.setstate(state)
    os.environ.clear()
    os.environ.update(environ)


WRITTEN = {
    "an item": 'K = {"a": 1}\nK["a"] = 2',
    "update": 'K = {"a": 1}\nK.update(b=5)',
    "a method given later": "class A:\n    pass\n\ndef one(self):\n    return 1\n\nA.m = one\nK = A().m()",
    "a method given later, used in the step": (
        "class A:\n    pass\n\ndef one(self):\n    return 1\n\nA.m = one\nclass B:\n"
        "    def __repr__(self):\n        return str(A().m())\n\nK = B()"
    ),
    "a registry": (
        "K = {}\n\ndef register(f):\n    K[f.__name__] = f(1)\n    return f\n\n"
        "@register\ndef double(x):\n    return 2 * x"
    ),
    "a loop": "K = []\nfor i in range(3):\n    K.append(i)",
    "a loop in a loop, with a condition": (
        "K = []\nfor i in range(3):\n    for j in range(i):\n        if j:\n            K.append((i, j))"
    ),
    "with": "import contextlib\nK = {}\nwith contextlib.suppress(OSError):\n    K['a'] = 1\n    raise OSError",
    "try": "K = {}\ntry:\n    K['a'] = 1 / 0\nexcept ZeroDivisionError:\n    K['a'] = 'caught'\nelse:\n    K['b'] = 1",
    "an alias": "K = {}\nJ = K\nJ['a'] = 1",
    "an alias of an alias's part": "K = {'in': {}}\nJ = K['in']\nL = [J]\nL[0]['a'] = 1",
    "blanks at the end of a line in a string": "K = '''a \nb'''",
    "an alias in an expression": "K = {}\nsize = len(J := K)\nJ['a'] = 1",
    "the variable of a comprehension": "K = [[], [1]]\nlast = [part.pop() for part in K if part]",
    "the variable of a comprehension, for its effect": "K = [[], [1]]\n[part.append(2) for part in K]",
    "what a pattern captures": "K = {'in': {}}\nmatch K:\n    case {'in': inner}:\n        inner['a'] = 1",
    "a function that changes": "K = {}\n\ndef setup():\n    K['a'] = 1\n\nsetup()",
    "a function two calls away": (
        "K = {}\n\ndef inner(x):\n    x['a'] = 1\n\ndef outer():\n    inner(K)\n\nvalue = outer()"
    ),
    "a binding that changes": "K = {'a': 1, 'b': 2}\ntaken = K.pop('a')",
    "an iterator that was begun": "K = iter([1, 2, 3])\nfirst = next(K)\nK = list(K)",
    "a seed": "import random\nrandom.seed(7)\nK = random.random()",
    "an environment variable": "import os\nos.environ['T_EFFECT'] = 'x'\nK = os.environ.get('T_EFFECT')",
    "del": "K = {'a': 1, 'b': 2}\ndel K['a']",
    "unpacking": "K = [1, 2, 3]\nK[0], *K[1:2] = 'xy'",
    "setattr": "class A:\n    pass\n\nK = A()\nsetattr(A, '__repr__', lambda self: 'set')",
    "a subclass that signs up": (
        "class A:\n    K = []\n    def __init_subclass__(cls):\n        A.K.append(cls.__name__)\n\n"
        "class B(A):\n    pass\n\nK = A.K"
    ),
    "a class body that changes": "K = []\nclass A:\n    K.append('in the body')",
    "a statement behind the component is too late to be seen by name": "K = []\nK.append(1)\nK.append(len(K))",
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_called_in_python_and_run_as_a_step_are_one(written: str, tmp_path: Path) -> None:
    text = (
        f"from tiphys import component, Pipeline\n{written}\n\n"
        "@component\ndef answer() -> str:\n    return repr(K)\n\n"
        "with Pipeline('p') as pipeline:\n    answer()\n"
    )
    called, step = both(text, tmp_path)
    assert step == called


def test_a_change_below_the_component_travels_too(tmp_path: Path) -> None:
    text = textwrap.dedent(
        """
        from tiphys import component
        K = {"a": 1}

        @component
        def answer() -> str:
            return repr(K)

        K["a"] = 2
        """
    )
    called, step = both(text, tmp_path)
    assert step == called == "{'a': 2}"


REFUSED = {
    "globals()": ("globals()['K'] = 2", "globals at the top level", 3),
    "exec": ("exec('K = 2')", "exec at the top level", 3),
    "sys.modules": ("import sys\nsetattr(sys.modules[__name__], 'K', 2)", "sys.modules at the top level", 4),
    "in the block that builds the pipeline": (
        "from tiphys import Pipeline\nwith Pipeline('p') as p:\n    K['a'] = 2\n    answer()",
        "changes K",
        5,
    ),
}


@pytest.mark.parametrize(("written", "message", "line"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_travel_is_refused_at_its_line(
    written: str, message: str, line: int, tmp_path: Path
) -> None:
    text = (
        f"K = {{'a': 1}}\nfrom tiphys import component\n{written.replace('    answer()', '    pass')}\n\n"
        "@component\ndef answer() -> str:\n    return repr(K)\n"
    )
    with pytest.raises(DefinitionError, match="TIP124") as caught:
        both(text, tmp_path)
    assert message in str(caught.value)
    assert f"written.py:{line}" in str(caught.value)


def test_what_builds_the_pipeline_stays_at_home(tmp_path: Path) -> None:
    text = textwrap.dedent(
        """
        import tiphys
        from tiphys import Pipeline, component

        SIZES = [1, 2]

        @component
        def answer() -> str:
            return repr(SIZES)

        def build():
            with Pipeline("p") as made:
                answer()
            return made

        pipeline = build()
        others = [build() for _ in SIZES]
        if __name__ == "__main__":
            SIZES.append(3)
            tiphys.run(pipeline)
        """
    )
    module = load(text, tmp_path, "at_home")
    script = script_source(module.answer.function, module.answer.signature, module.answer.site)
    assert "Pipeline" not in script
    assert "SIZES.append" not in script
    assert "SIZES = [1, 2]" in script


def test_generated_files(tmp_path: Path) -> None:
    """No file may give two answers; a few may be refused, most may not."""
    refused = 0
    compared = 0
    for seed in range(GENERATED):
        text = module_text(seed)
        try:
            called, step = both(text, tmp_path, f"generated_{seed}")
        except DefinitionError:
            refused += 1
            continue
        except NoProgramError:
            continue
        assert step == called, f"seed {seed}:\n{text}"
        compared += 1
    assert compared > 0.7 * GENERATED
    assert refused < 0.1 * GENERATED
