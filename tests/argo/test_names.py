"""IDs of nodes and names of pods."""

from __future__ import annotations

import re
from random import Random

import pytest

from tiphys.argo.names import fnv32a, generated_name, invalid_pod_name, node_id, pod_name


@pytest.mark.parametrize(
    ("text", "value"), [("", 0x811C9DC5), ("a", 0xE40C292C), ("b", 0xE70C2DE5), ("foobar", 0xBF9CF968)]
)
def test_the_hash_is_the_published_one(text: str, value: int) -> None:
    # test vectors of the FNV reference code
    assert fnv32a(text) == value


def test_an_id_is_the_workflows_name_and_the_hash_of_the_nodes() -> None:
    assert node_id("wf", "wf") == "wf"
    assert node_id("foobar", "a") == f"foobar-{0xE40C292C}"


def test_pods_are_called_after_workflow_template_and_node() -> None:
    # workflow/util/pod_name.go: 253 characters at most, the hash among them, cut before it
    assert pod_name("wf", "wf", "main") == "wf"
    assert pod_name("wf", "a", "main") == f"wf-main-{0xE40C292C}"
    assert pod_name("wf", "a", "") == f"wf-{0xE40C292C}"
    long = pod_name("w" * 200, "a", "t" * 100)
    assert long == f"{'w' * 200}-{'t' * 41}-{0xE40C292C}"
    assert len(long) == 253


@pytest.mark.parametrize("name", ["wf-main-1", "wf-a.b-1", "wf-1"])
def test_names_that_kubernetes_takes(name: str) -> None:
    assert invalid_pod_name(name, "wf") == ""


@pytest.mark.parametrize("name", ["wf-Main-1", "wf-a_b-1", "wf-a..b-1", "wf-ä-1"])
def test_names_that_kubernetes_refuses_in_its_words(name: str) -> None:
    message = invalid_pod_name(name, "wf")
    assert message.startswith(f'Pod "{name}" is invalid: metadata.name: Invalid value: "{name}": ')
    assert "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters" in message


def test_generated_names_have_63_characters_at_most_and_no_vowels() -> None:
    made = [generated_name("x" * 80, Random(seed)) for seed in range(20)]
    assert {len(name) for name in made} == {63}
    assert len(set(made)) == 20
    assert all(re.fullmatch("[^aeiou013]{5}", name[-5:]) for name in made)
    assert len(generated_name("train-")) == len("train-") + 5
