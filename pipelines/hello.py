"""The smallest pipeline: two typed steps, one parameter. ``tiphys run pipelines/hello.py -p name=Argo``"""

from tiphys import Pipeline, component


@component
def greet(name: str, times: int = 1) -> str:
    return ", ".join(["hello"] * times) + f" {name}"


@component
def shout(text: str) -> str:
    print(text.upper())
    return text.upper()


with Pipeline("hello", title="Hello") as pipeline:
    name = pipeline.param("name", "world")
    shout(text=greet(name=name, times=2))
