"""One worker of a training: ``python -m components.train`` in a TFJob, or alone.

The settings come from the environment, as for every step (``TIPHYS_INPUT_MODEL`` and so on); the gang comes from
``TF_CONFIG``. Exit codes are those of the TFJob's restart policy ``ExitCode``: 0 the model is there, 1 the input or
the training is at fault (restarting will not help), 128 and more: start this worker again (138 a peer is gone, 143
SIGTERM).
"""

from __future__ import annotations

import inspect
import os
import sys

from components.settings import Settings
from tiphys.errors import ComponentError, TiphysError
from tiphys.reference import Reference
from tiphys.step import arguments_of
from tiphys.step.enough import dropped

__all__ = ["main", "train"]


def train(
    dataset: Reference,
    model: str,
    output: str,
    work: str,
    epochs: int = 10,
    batch_size: int = 1024,
    learning_rate: float = 0.006,
    seed: int = 7,
    initial: Reference | None = None,
) -> None:
    """Train ``model`` (cnn, dropout or batch-norm) on ``dataset`` and export it to ``output``.

    ``batch_size`` is global: each worker takes its share. ``learning_rate`` is the peak of a one-cycle schedule.
    Backups go to ``work``; a training that finds one resumes from it. When a sound model is at ``output`` already,
    nothing is done. All workers return when the model is there. ``initial``: begin with the weights of this exported
    model of the same type, instead of random ones.

    Raises ComponentError: TIP708 the data set is damaged, TIP710 unknown model type, TIP711 a bad hyperparameter,
    TIP712 a bad TF_CONFIG, TIP713 TensorFlow is missing, TIP714 the training diverged, TIP707 no space, TIP718
    ``initial`` is another network, TIP720 it cannot be used, and PeerLostError (TIP715) when another worker is gone; as
    a worker of a job also (TIP716) when this one is ten times slower than the others (:mod:`components.pace`).
    """
    from components.worker import run

    run(Settings(dataset, model, output, work, epochs, batch_size, learning_rate, seed, initial))


def main() -> int:
    """Run as a worker; return the exit code."""
    try:
        if why := dropped():
            raise ComponentError("TIP717", "this training is not wanted any more", cause=why)
        from components.worker import run

        bound = inspect.signature(train).bind(**arguments_of(train, os.environ))
        bound.apply_defaults()
        run(Settings(**bound.arguments), as_worker=True)
    except TiphysError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # TensorFlow's servers and threads do not all end by themselves: nothing is left to be done here.
    os._exit(code)
