"""Components in a notebook, judged by a real kernel."""

from __future__ import annotations

from pathlib import Path

import nbformat

from tests.notebooks import executed
from tiphys.compiler.cells import notebook_of, shown_cell


def test_a_component_of_a_notebook_takes_along_what_other_cells_define(tmp_path: Path) -> None:
    flow = "with Pipeline('hello') as flow:\n    greet(name='you')\nprint(run(flow).outputs_of('greet')['result'])"
    bad = "@component\n    def wrong() -> int:\n        return unknown"
    wrong = f"try:\n    {bad}\nexcept Exception as error:\n    print(error)"
    cells = [
        "from tiphys import Cache, Pipeline, component, run\nBASE = 3",
        "def more(x: int) -> int:\n    return x * BASE",
        "this is no Python",
        "@component(cache=Cache.by_content())\ndef greet(name: str) -> str:\n    return f'hello {name} {more(2)}'",
        flow,
        "def more(x: int) -> int:\n    return x * BASE + 1",
        flow,
        "%time print(1)",
        "@component(cache=Cache.by_content())\ndef greet(name: str) -> str:\n    return f'good day {name} {more(2)}'",
        flow,
        wrong,
        "@component\ndef typeless(x) -> int:\n    return 1",
    ]
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    for at in (2, 11):
        notebook.cells[at].metadata["tags"] = ["raises-exception"]
    said = executed(notebook, tmp_path)
    # a function that was defined anew is another one, in the results as in the keys of the cache
    assert [said[at].strip() for at in (4, 6, 9)] == ["hello you 6", "hello you 7", "good day you 7"]
    assert "TIP111: wrong uses 'unknown'" in said[10] and "where: cell 11:4" in said[10]
    (error,) = notebook.cells[11].outputs
    assert "TIP110" in error["evalue"] and "where: cell 12:1" in error["evalue"]


def test_a_file_is_no_cell() -> None:
    assert notebook_of(__file__) is None
    assert shown_cell(__file__, 1) == ""
