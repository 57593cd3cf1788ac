"""A container in a Pipeline: what the real ``argo`` accepts of it, and what its program gets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tiphys
from tests.tools import argo_lint
from tiphys import (
    Cache,
    ConfigMap,
    DefinitionError,
    MoreMemory,
    OnFailure,
    Pipeline,
    PodSettings,
    Resources,
    Scheduling,
    Secret,
    Toleration,
    component,
    container,
)
from tiphys.dsl.container import ContainerStep
from tiphys.engine import RunOptions
from tiphys.runs.given_secrets import given_secrets

SHELL = ["sh", "-c", 'printf %s "$text" | wc -c | tr -d " " > /tmp/n; printf %s "$text" > /tmp/copy']
count = container(
    "alpine:3.20",
    SHELL,
    inputs={"text": str},
    outputs={"n": (int, "/tmp/n"), "copy": "/tmp/copy"},
    name="count",
    cache=Cache.by_content(),
)


@component
def double(number: int) -> int:
    return 2 * number


@component
def said() -> str:
    return 'it\'s "here" `now`; $HOME'


def run(tmp_path: Path, workflow: Any, **given: str) -> Any:
    options = RunOptions(store=tmp_path / "store", images={"*": "host"}, handle_signals=False)
    return tiphys.run(workflow, options=options, **given)


def outputs(result: Any, name: str) -> dict[str, str]:
    node = next(n for n in result.workflow["status"]["nodes"].values() if n["displayName"] == name)
    return {p["name"]: p["value"] for p in node["outputs"]["parameters"]}


def template(step: ContainerStep) -> dict[str, Any]:
    with Pipeline("one") as pipeline:
        step(**{f.python: "1" for f in step.inputs})
    found: dict[str, Any] = next(t for t in pipeline.to_dict()["spec"]["templates"] if t["name"] == step.name)
    return found


def test_it_takes_and_gives_typed_values_and_is_cached(tmp_path: Path) -> None:
    with Pipeline("counted") as pipeline:
        counted = count(text=said())
        double(number=counted.n)
    assert not [f for f in tiphys.lint(pipeline) if f.severity in ("error", "warning")]
    first, again = run(tmp_path, pipeline), run(tmp_path, pipeline)
    text = said()
    assert outputs(first, "count") == {"n": str(len(text)), "copy": text}
    assert outputs(first, "double") == {"result": str(2 * len(text))}
    nodes = [n for n in again.workflow["status"]["nodes"].values() if n["displayName"] == "count"]
    assert nodes[0]["memoizationStatus"]["hit"]


@pytest.mark.parametrize("text", ["$$", "$(text)", "$$$(text) $", "a $ b", "$$x"])
def test_the_command_arrives_as_it_was_written(tmp_path: Path, text: str) -> None:
    """Kubernetes would replace ``$(NAME)`` and ``$$`` in it."""
    step = container(
        "alpine:3.20",
        ["sh", "-c", 'printf %s "$1" >/tmp/o', "x", text],
        inputs={"text": str},
        outputs={"o": "/tmp/o"},
        name="words",
    )
    with Pipeline("words") as pipeline:
        step(text="value")
    assert outputs(run(tmp_path, pipeline), "words") == {"o": text}


def test_an_input_as_an_argument_of_its_own(tmp_path: Path) -> None:
    step = container(
        "alpine:3.20",
        ["sh", "-c", 'printf %s "$1" >/tmp/o', "x", ContainerStep.input("some_text")],
        inputs={"some_text": str},
        outputs={"o": "/tmp/o"},
        name="words",
    )
    with Pipeline("words") as pipeline:
        text = pipeline.param("text", "a")
        step(some_text=text)
    given = "quote \" and ' and \\ and\nline"
    assert outputs(run(tmp_path, pipeline, text=given), "words") == {"o": given}


def test_other_options_make_another_container() -> None:
    other = count.using(image="alpine:3.21", name="other", env={"A": "b"}, timeout="1m", cache=None)
    made = template(other)
    assert made["container"]["image"] == "alpine:3.21" and made["timeout"] == "1m" and "memoize" not in made
    assert made["container"]["env"][-1] == {"name": "A", "value": "b"}
    assert template(container("ghcr.io/Me/My_Tool@sha256:0", ["x"]))["name"] == "my-tool"


def test_the_key_holds_what_the_result_depends_on() -> None:
    def key(step: ContainerStep) -> str:
        return str(template(step)["memoize"]["key"])

    base = key(count)
    assert key(count.using(title="Count")) == base
    more = container(
        "alpine:3.20",
        [*SHELL, "x"],
        inputs={"text": str},
        outputs={"n": "/tmp/n"},
        name="count",
        cache=Cache.by_content(),
    )
    others = [count.using(image="alpine:3.21"), count.using(env={"A": "b"}), more]
    assert len({base, *map(key, others)}) == 4


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "a line": (lambda: container("alpine:3", "echo hi"), "TIP105"),
    "nothing": (lambda: container("alpine:3", []), "TIP105"),
    "a number": (lambda: container("alpine:3", ["sleep", 1]), "TIP105"),
    "no image": (lambda: container("", ["x"]), "TIP105"),
    "a tag": (lambda: container("alpine:3", ["echo", "{{inputs.parameters.x}}"]), "TIP119"),
    "unknown input": (lambda: container("alpine:3", ["echo", ContainerStep.input("x")]), "TIP103"),
    "a type": (lambda: container("alpine:3", ["x"], inputs={"a": complex}), "TIP110"),
    "path": (lambda: container("alpine:3", ["x"], outputs={"a": "here"}), "TIP101"),
    "no path": (lambda: container("alpine:3", ["x"], outputs={"a": int}), "TIP101"),  # type: ignore[dict-item]
    "PATH": (lambda: container("alpine:3", ["x"], inputs={"PATH": str}), "TIP101"),
    "name": (lambda: container("alpine:3", ["x"], inputs={"a b": str}), "TIP101"),
    "latest": (lambda: container("alpine", ["x"], cache=Cache.by_content()), "TIP126"),
    "retry": (lambda: container("alpine:3", ["x"], retry=3), "TIP105"),  # type: ignore[arg-type]
    "title": (lambda: count.using(title="Count it"), "TIP101"),
    "option": (lambda: count.using(imgae="x"), "TIP103"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_at_its_line(case: str) -> None:
    act, code = WRONG[case]
    with pytest.raises(DefinitionError) as caught:
        act()
    assert caught.value.code == code and "test_container.py" in caught.value.where and caught.value.fix


def test_a_wrong_type_is_told_where_it_is_called() -> None:
    with Pipeline("typed"), pytest.raises(DefinitionError) as caught:
        double(number=count(text="a").copy)
    assert caught.value.code == "TIP105"
    with Pipeline("missing"), pytest.raises(DefinitionError) as caught:
        count()
    assert caught.value.code == "TIP104"
    assert json.dumps(template(count))


def test_it_has_secrets_a_place_and_the_settings_of_its_pod_as_a_component_has(tmp_path: Path) -> None:
    sync = container(
        "rclone/rclone:1.68",
        ["sh", "-c", 'test "$KEY" = open && cat /var/tls/crt > /tmp/seen'],
        outputs={"seen": "/tmp/seen"},
        secrets=[Secret("s3", "access-key", env="KEY"), Secret("tls", mount="/var/tls")],
        scheduling=Scheduling(tolerations=[Toleration("disk")]),
        pod=PodSettings(labels={"team": "blue"}, patch={"terminationGracePeriodSeconds": 5}),
        resources=Resources(gpu=1),
        on_failure=OnFailure(oom=MoreMemory(2, up_to="8Gi")),
    )
    with Pipeline("synced") as pipeline:
        sync()
    made = template(sync)
    assert made["container"]["env"][-1]["valueFrom"] == {"secretKeyRef": {"name": "s3", "key": "access-key"}}
    assert {each["key"] for each in made["tolerations"]} == {"disk", "nvidia.com/gpu"}
    assert made["metadata"]["labels"] == {"team": "blue"}
    assert '"terminationGracePeriodSeconds":5' in made["podSpecPatch"]
    assert argo_lint(tiphys.to_yaml(pipeline), tmp_path) == ""
    keys = tmp_path / "tls"
    keys.mkdir()
    (keys / "crt").write_text("a certificate")
    (tmp_path / "key").write_text("open")
    given = given_secrets([f"s3/access-key={tmp_path / 'key'}", f"tls={keys}"])
    free = sync.using(resources=Resources(), on_failure=None)
    with Pipeline("synced") as pipeline:
        free()
    assert outputs(run(tmp_path, [pipeline, *given]), free.name) == {"seen": "a certificate"}
    with pytest.raises(DefinitionError, match="TIP126"):
        container("alpine:3.20", ["true"], cache=Cache.by_content(), secrets=[ConfigMap("c", "k", env="K")])
