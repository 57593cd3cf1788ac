"""The engine of one job on this machine, a process of its own: ``python -m tiphys.training.engine WORDS``.

It has a lock of the job as descriptor 3, and holds it for as long as it lives: whoever finds the lock taken knows that
somebody goes on with the job, also before its run has begun.
"""

from __future__ import annotations

import json
import os
import sys

from tiphys.engine.base.options import RunOptions
from tiphys.engine.runtime.run import resume
from tiphys.errors import TiphysError

__all__ = ["main"]

_LOCK = 3


def main(words: list[str]) -> int:
    """``words``: the run's name, the file with its Workflow (empty: it goes on), and options as JSON."""
    name, file, text = words
    os.set_inheritable(_LOCK, False)  # what the engine starts may outlive it, and is not the engine
    said = json.loads(text)
    options = RunOptions(
        store=said["store"],
        name=name,
        runner=said["runner"],
        network=said["network"],
        images=said["images"],
        project=said["project"],
    )
    try:
        if file:
            from tiphys.runs.start import run

            result = run(file, options=options)
        else:
            result = resume(name, options=options)
    except TiphysError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return int(result.exit_code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
