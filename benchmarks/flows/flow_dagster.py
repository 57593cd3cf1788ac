"""The shapes of benchmarks/peers.py in Dagster. ``dagster job execute -j SHAPE`` gives each op a process of its own;
``python flow_dagster.py SHAPE`` runs them all in this one."""

import sys

from dagster import Definitions, DynamicOut, DynamicOutput, job, op


@op
def zero() -> int:
    return 1


@op
def add(value: int) -> int:
    return value + 1


@op(out=DynamicOut(int))
def items():
    for index in range(100):
        yield DynamicOutput(index, mapping_key=str(index))


@op
def total(values: list[int]) -> int:
    assert sum(values) == 5050
    return sum(values)


@job
def chain():
    value = zero()
    for _ in range(9):
        value = add(value)


@job
def fan_out():
    total(items().map(add).collect())


definitions = Definitions(jobs=[chain, fan_out])

if __name__ == "__main__":
    assert {"chain": chain, "fan_out": fan_out}[sys.argv[1]].execute_in_process().success
