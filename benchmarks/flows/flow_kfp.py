"""The shapes of benchmarks/peers.py in KFP, run on this machine: a Python of its own for each task."""

import sys

from kfp import dsl, local

SHAPE = sys.argv[1]


@dsl.component(install_kfp_package=False)
def add(value: int) -> int:
    return value + 1


@dsl.component(install_kfp_package=False)
def total(values: list) -> int:
    return int(sum(values))  # KFP hands numbers on as floats


@dsl.pipeline
def chain() -> int:
    value = 0
    for _ in range(10):
        value = add(value=value).output
    return value


@dsl.pipeline
def fan_out() -> int:
    with dsl.ParallelFor(list(range(100))) as item:
        each = add(value=item)
    return total(values=dsl.Collected(each.output)).output


local.init(
    runner=local.SubprocessRunner(use_venv=False),
    pipeline_root=sys.argv[2],
    enable_caching=SHAPE == "hits",
)
task = chain() if SHAPE == "chain" else fan_out()
assert task.output == (10 if SHAPE == "chain" else 5050)
