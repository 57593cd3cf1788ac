"""How long a gang needs to add up its gradients: no worker can see that, since TensorFlow does it inside a step.

So the workers do the same between two epochs, when all of them are there: an all-reduce of one tensor as large as all
gradients together, which is how ``MultiWorkerMirroredStrategy`` packs them. The first is not counted, since it waits
for whoever comes last, and of the others it is the median. Nothing else runs meanwhile: with few cores for many
workers it is as slow in a step, and no slower.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

__all__ = ["timed_all_reduce"]

TIMES = 3


def timed_all_reduce(tf: Any, strategy: Any, numbers: int, clock: Callable[[], float]) -> Callable[[], float]:
    """What gives the seconds of one all-reduce of ``numbers`` float32; all workers have to call it together."""

    def of_one() -> Any:
        own = tf.zeros((numbers,))
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, own)[0]

    reduced = tf.function(lambda: strategy.run(of_one))

    def measure() -> float:
        found = []
        for _ in range(1 + TIMES):
            begin = clock()
            reduced().numpy()
            found.append(clock() - begin)
        return statistics.median(found[1:])

    return measure
