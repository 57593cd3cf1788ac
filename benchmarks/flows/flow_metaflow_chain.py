"""A chain of ten steps in Metaflow, which reads its graph from the class: so each is written down."""

from __future__ import annotations

from metaflow import FlowSpec, step


class ChainFlow(FlowSpec):
    @step
    def start(self):
        self.value = 1
        self.next(self.t1)

    @step
    def t1(self):
        self.value += 1
        self.next(self.t2)

    @step
    def t2(self):
        self.value += 1
        self.next(self.t3)

    @step
    def t3(self):
        self.value += 1
        self.next(self.t4)

    @step
    def t4(self):
        self.value += 1
        self.next(self.t5)

    @step
    def t5(self):
        self.value += 1
        self.next(self.t6)

    @step
    def t6(self):
        self.value += 1
        self.next(self.t7)

    @step
    def t7(self):
        self.value += 1
        self.next(self.t8)

    @step
    def t8(self):
        self.value += 1
        self.next(self.end)

    @step
    def end(self):
        assert self.value + 1 == 10


if __name__ == "__main__":
    ChainFlow()
