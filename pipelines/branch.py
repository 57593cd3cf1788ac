"""A condition: flip a coin, take one of two ways, and go on with what came out."""

from typing import Literal, NamedTuple

from tiphys import Pipeline, Retry, component, workflow_status


class Coin(NamedTuple):
    side: Literal["heads", "tails"]
    luck: float


@component
def flip(seed: int) -> Coin:
    import random

    generator = random.Random(seed)
    return Coin(generator.choice(("heads", "tails")), generator.random())


@component(retry=Retry(limit=2, backoff="1s"))
def celebrate(luck: float) -> str:
    return f"heads, with luck {luck:.2f}"


@component
def console() -> str:
    return "tails"


@component
def tell(heads: str, tails: str) -> str:
    print(heads or tails)
    return heads or tails


@component
def report(status: str) -> None:
    print("the workflow ended:", status)


with Pipeline("branch", title="A condition") as pipeline:
    seed = pipeline.param("seed", 1, minimum=0)
    coin = flip(seed=seed)
    won = celebrate(luck=coin.luck).when((coin.side == "heads") & (coin.luck > 0.1))
    lost = console().when(coin.side == "tails")
    tell(heads=won.result.optional(), tails=lost.result.optional())
with pipeline.exit_handler("goodbye"):
    report(status=workflow_status)
