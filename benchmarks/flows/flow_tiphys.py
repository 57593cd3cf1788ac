"""The shapes of benchmarks/peers.py in tiphys: of Python functions, and of containers."""

from __future__ import annotations

from tiphys import Cache, Pipeline, component, container, for_each

STEPS, ITEMS = 10, 100
IMAGE = "python:3.11-slim"  # of all steps: Argo pulls nothing else


@component
def add(value: int) -> int:
    return value + 1


@component(cache=Cache.by_content())
def add_once(value: int) -> int:
    return value + 1


@component
def total(values: list[int]) -> int:
    return sum(values)


@component(cache=Cache.by_content())
def total_once(values: list[int]) -> int:
    return sum(values)


add_command = container(
    IMAGE,
    ["sh", "-c", 'echo "$((value + 1))" >/tmp/result'],
    inputs={"value": int},
    outputs={"result": (int, "/tmp/result")},
    name="add",
)

with Pipeline("chain", image=IMAGE) as chain:
    value = add(value=0).named("t0")
    for index in range(1, STEPS):
        value = add(value=value.result).named(f"t{index}")

with Pipeline("fan-out", image=IMAGE) as fan_out:
    total(values=add(value=for_each(list(range(ITEMS)))).result)

with Pipeline("hits", image=IMAGE) as hits:
    total_once(values=add_once(value=for_each(list(range(ITEMS)))).result)

with Pipeline("chain", image=IMAGE) as chain_commands:
    value = add_command(value=0).named("t0")
    for index in range(1, STEPS):
        value = add_command(value=value.result).named(f"t{index}")

with Pipeline("fan-out", image=IMAGE) as fan_out_commands:
    total(values=add_command(value=for_each(list(range(ITEMS)))).result)
