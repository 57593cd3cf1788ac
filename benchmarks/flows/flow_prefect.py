"""The shapes of benchmarks/peers.py in Prefect: tasks are threads of this process, beside a server of the run's own."""

import sys

from prefect import flow, task
from prefect.cache_policies import INPUTS, NO_CACHE

KEPT = (
    {"cache_policy": INPUTS, "persist_result": True} if sys.argv[1] == "hits" else {"cache_policy": NO_CACHE}
)


@task(**KEPT)
def add(value: int) -> int:
    return value + 1


@task(**KEPT)
def total(values: list[int]) -> int:
    return sum(values)


@flow
def chain() -> int:
    value = 0
    for _ in range(10):
        value = add(value)
    return value


@flow
def fan_out() -> int:
    return total(add.map(range(100)))


if __name__ == "__main__":
    assert (chain() if sys.argv[1] == "chain" else fan_out()) == (10 if sys.argv[1] == "chain" else 5050)
