"""Write the golden files again, after a change that was meant: ``python tests/golden/regenerate.py``"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = {
    "fashion-mnist.yaml": "fashion_mnist.py",
    "hello.yaml": "hello.py",
    "houses.yaml": "houses.py",
    "loop.yaml": "loop.py",
    "branch.yaml": "branch.py",
    "pytorch-ddp.yaml": "pytorch_ddp.py",
    "search.yaml": "search.py",
    "sweep.yaml": "sweep.py",
    "nightly.yaml": "nightly.py",
    "batch-inference.yaml": "batch_inference.py",
}
PICTURE = ROOT / "docs" / "graph.svg"
_CODE = re.compile(r"""(?P<mark>'|"code":")[0-9a-f]{16}(?=[:"])""")


def compiled(pipeline: str) -> str:
    """The YAML of a pipeline in ``pipelines/``."""
    from tiphys.compiler.compile import to_yaml
    from tiphys.compiler.load import load

    return to_yaml(load(str(ROOT / "pipelines" / pipeline), {}))


def masked(text: str) -> str:
    """Without the digests of the steps' code, which change with every edit and every library (as they must)."""
    return _CODE.sub(r"\g<mark><code>", text)


def picture() -> str:
    """The graph of the mission."""
    from tiphys.graph import render

    return render(str(ROOT / "pipelines" / "fashion_mnist.py"), "svg")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    for name, source in GOLDEN.items():
        (Path(__file__).parent / name).write_text(compiled(source), encoding="utf-8")
    PICTURE.write_text(picture(), encoding="utf-8")
