"""A fan-out of a hundred tasks in Metaflow: with the start, the join and the end that it wants, 103."""

from __future__ import annotations

from metaflow import FlowSpec, step


class FanOutFlow(FlowSpec):
    @step
    def start(self):
        self.items = list(range(100))
        self.next(self.add, foreach="items")

    @step
    def add(self):
        self.value = self.input + 1
        self.next(self.total)

    @step
    def total(self, inputs):
        self.value = sum(each.value for each in inputs)
        self.next(self.end)

    @step
    def end(self):
        assert self.value == 5050


if __name__ == "__main__":
    FanOutFlow()
