"""A module of components for tests: referenced by name, with code of its own package behind it."""

from __future__ import annotations

from tests.dsl.library_words import WORD, word_for

UNRELATED = 1


def greet(name: str) -> str:
    """Greets."""
    return f"{WORD} {word_for(name)}"


def other(name: str) -> str:
    """Has nothing to do with the words."""
    return name


def train(data: str, output: str, work: str, epochs: int = 1, model: str = "cnn") -> None:
    """A training function."""
