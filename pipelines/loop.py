"""A loop that fans out and in: split a text, measure each word in its own step, add up."""

from dataclasses import dataclass

from tiphys import Pipeline, component, for_each


@dataclass(frozen=True)
class Words:
    words: list[str]
    count: int


@component
def split(text: str) -> Words:
    words = text.split()
    return Words(words, len(words))


@component
def measure(word: str, weight: float = 1.0) -> float:
    return len(word) * weight


@component(exports={"result": "total"})
def add(numbers: list[float]) -> float:
    return sum(numbers)


def build(weight: float = 0.5) -> Pipeline:
    """``weight`` is fixed when the pipeline is compiled: ``-p weight=2``."""
    with Pipeline("loop", title="A loop") as pipeline:
        text = pipeline.param("text", "the helmsman of the Argo", description="words to measure")
        word = for_each(split(text=text).words)
        add(numbers=measure(word=word, weight=weight).result)
    return pipeline
