"""IDs of nodes and names of pods."""

from __future__ import annotations

import re
from random import Random

import pytest

from tiphys.argo.names import NodeIDs, fnv32a, fnv64a, generated_name, invalid_pod_name, pod_name


@pytest.mark.parametrize(
    ("text", "value"), [("", 0x811C9DC5), ("a", 0xE40C292C), ("b", 0xE70C2DE5), ("foobar", 0xBF9CF968)]
)
def test_the_hash_is_the_published_one(text: str, value: int) -> None:
    # test vectors of the FNV reference code
    assert fnv32a(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("", 0xCBF29CE484222325), ("a", 0xAF63DC4C8601EC8C), ("foobar", 0x85944171F73967E8)],
)
def test_the_wider_hash_is_the_published_one(text: str, value: int) -> None:
    # test vectors of the FNV reference code
    assert fnv64a(text) == value


def test_an_id_is_the_workflows_name_and_the_hash_of_the_nodes() -> None:
    assert NodeIDs("wf").take("wf") == "wf"
    assert NodeIDs("foobar").take("a") == f"foobar-{0xE40C292C}"


# two names whose 32 bits are equal: "both hash to 1277661780", argo-workflows, issue 16376
PAIR = ("custom-job-thbh7[0]", "custom-job-thbh7[0].custom-job[0].custom-job-main")


@pytest.mark.parametrize("names", [PAIR, PAIR[::-1]])
def test_of_two_names_with_one_hash_the_second_gets_a_wider_id(names: tuple[str, str]) -> None:
    first, second = names
    ids = NodeIDs("w")
    assert ids.find(second) == "w-1277661780"  # who only asks takes nothing
    assert ids.take(first) == "w-1277661780"
    wide = ids.take(second)
    assert wide == f"w-{fnv64a(second)}" and wide != "w-1277661780"
    assert (ids.take(first), ids.find(first), ids.find(second)) == ("w-1277661780", "w-1277661780", wide)


def test_a_wider_id_stays_when_the_node_it_lost_to_is_gone() -> None:
    # a retry deletes nodes: the one that is kept must be found under the ID it has
    first, second = PAIR
    ids = NodeIDs("w")
    ids.keep(second, f"w-{fnv64a(second)}")
    assert ids.find(second) == ids.take(second) == f"w-{fnv64a(second)}"
    assert ids.take(first) == "w-1277661780"


def test_names_that_are_equal_in_both_hashes_have_ids_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiphys.argo.names.fnv32a", lambda text: 1)
    monkeypatch.setattr("tiphys.argo.names.fnv64a", lambda text: 2 + text.count("~"))
    ids = NodeIDs("w")
    made = {name: ids.take(name) for name in "abcde"}
    assert len(set(made.values())) == 5
    assert {name: ids.find(name) for name in "abcde"} == made


def test_pods_of_two_names_with_one_hash_have_names_of_their_own() -> None:
    ids = NodeIDs("w")
    names = [pod_name("w", ids.take(name), "t" * 300) for name in PAIR]
    assert len(set(names)) == 2 and all(len(name) <= 253 for name in names)


def test_pods_are_called_after_workflow_template_and_node() -> None:
    # workflow/util/pod_name.go: 253 characters at most, the hash among them, cut before it
    assert pod_name("wf", "wf", "main") == "wf"
    assert pod_name("wf", f"wf-{0xE40C292C}", "main") == f"wf-main-{0xE40C292C}"
    assert pod_name("wf", f"wf-{0xE40C292C}", "") == f"wf-{0xE40C292C}"
    long = pod_name("w" * 200, f"{'w' * 200}-{0xE40C292C}", "t" * 100)
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
