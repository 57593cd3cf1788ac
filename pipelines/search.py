"""Loops with limits: a few trials at a time, some of which may fail, until one is good enough."""

from typing import NamedTuple

from tiphys import Pipeline, component, for_each


class Trial(NamedTuple):
    rate: float
    score: float


@component
def candidates(count: int) -> list[float]:
    return [(each + 1) * 0.3 for each in range(count)]


@component
def fit(rate: float) -> Trial:
    if rate > 0.85:
        raise SystemExit("diverged")
    return Trial(rate, 1 - (rate - 0.4) ** 2)


@component
def best(rates: list[float], scores: list[float], failures: int = 0) -> Trial:
    print(f"{len(rates)} trials went well, {failures} failed")
    score, rate = max(zip(scores, rates, strict=True))
    return Trial(rate, score)


with Pipeline("search", title="Loops with limits") as pipeline:
    good = pipeline.param("good", 0.985, description="the score that ends a search")

    bounded = fit(rate=for_each([0.1, 0.3, 0.5], parallel=2)).named("bounded")
    best(rates=bounded.rate, scores=bounded.score).named("best-of-bounded")

    tolerant = fit(rate=for_each(candidates(count=3), tolerate=0.5)).named("tolerant")
    best(rates=tolerant.done_items, scores=tolerant.score, failures=tolerant.failures).named(
        "best-of-tolerant"
    )

    search = for_each(
        [0.9, 0.1, 0.3, 0.5, 0.7], parallel=2, tolerate=1, until=lambda trial: trial.score >= good
    )
    found = fit(rate=search).named("search")
    best(rates=found.rate, scores=found.score, failures=found.failures).named("best-of-search")
