"""A pipeline that uses everything at once; what real Argo makes of it is in ``kitchen_sink.txt``.

Recorded with Argo 4.1.2 on Kubernetes 1.33 (image python:3.11-slim, ConfigMap of the locks created first).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tiphys import (
    Cache,
    Mutex,
    Pipeline,
    Semaphore,
    component,
    compose,
    dag,
    for_each,
    workflow_status,
)


class Made(NamedTuple):
    text: str
    size: int
    good: bool


@component(cache=Cache.by_content())
def make(text: str = "x") -> Made:
    return Made(text, len(text), True)


@component
def use(text: str, size: int = 1) -> str:
    return text * size


@component
def gather(texts: list[str]) -> list[str]:
    return texts


@component(exports={"result": "final"})
def show(data: dict[str, Any]) -> str:
    return f"{data['x']} {{literal}} " + "{{workflow.name}}"


@component
def mapping(n: int) -> dict[str, Any]:
    return {"x": f"<{n}>&'\"\\", "n": n}


@component
def fails(text: str) -> str:
    raise SystemExit(3)


class Both(NamedTuple):
    text: str
    joined: str
    maybe: str


def build(image: str = "") -> Pipeline:
    """One of everything; the step ``fails`` fails on purpose."""
    with Pipeline("sink", image=image, locks=[Semaphore("sink-all", 3, config_map="sink-locks")]) as p:
        go = p.param("go", False)
        hostile = p.param("hostile", 'it\'s "x" \\ $HOME\n<&> é {x}')
        lone = use.using(
            name="locked", locks=[Semaphore("sink-one", 1, config_map="sink-locks"), Mutex("sink-m")]
        )

        @dag
        def inner(word: str, size: int = 2) -> Both:
            made = make(text=word)
            skipped = use(text=made.text).named("skipped").when(go)
            used = use(text=made.text, size=size)
            joined: Any = compose("{a}|{b}", a=hostile, b=used.result)
            return Both(text=made.text, joined=joined, maybe=skipped.result.optional("none"))

        one = inner(word="a").named("one")
        two = inner(word="a", size=3).named("two")
        last = gather(texts=[one.joined, "lit'eral", two.maybe])
        each = for_each([{"t": "a b", "n": 1}, {"t": "c", "n": 2}])
        looped = lone(text=each["t"], size=each["n"])
        again = use(text=for_each(looped.result)).named("again")
        gather(texts=again.result).named("gathered").on_exit(use, text="hook")
        mapping(n=for_each([1, 2]))
        show(data=mapping.using(name="single")(n=7))
        bad = fails(text="x")
        use(text="recovered").named("recover").after(bad, on=("failed", "errored"))
        use(text="never").named("never").after(bad, on="succeeded")
        make(text="cond").named("cond").when(
            (one.maybe == "none") & (last.result != "") & (two.text.is_in("a", "}}'"))
        )
    with p.exit_handler("bye"):
        use(text=workflow_status).when(workflow_status != "Succeeded")
    return p
