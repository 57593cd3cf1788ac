"""``queue.toml``: what it says, and what is said of one that is wrong."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from tiphys.errors import RefusedError
from tiphys.queue.rules import Cluster, Member, Rules, RulesFile, load_rules, this_user

WHOLE = """
[pools]
training = 8
closed = 0

[groups]
vision = 3
text = 0.5

[users.anna]
group = "vision"
weight = 2
highest = 10

[users.bo]
group = "text"

[others]
highest = 0

[elastic]
settled = 60
"""


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "queue.toml"
    path.write_text(text)
    return path


def test_all_that_it_may_say(tmp_path: Path) -> None:
    rules = load_rules(file(tmp_path, WHOLE))
    assert rules.pools == {"training": 8, "closed": 0}
    assert rules.settled == 60.0 and Rules().settled == 300.0
    assert rules.users == {"anna": Member("vision", 2.0, 10), "bo": Member("text")}
    shares = rules.shares({"anna": 60.0, "bo": 60.0, "cy": 60.0}, 0.0)
    first, second, third = sorted(shares.places(["anna", "bo", "cy"], {}).items(), key=lambda each: each[1])
    assert (first[0], second[0], third[0]) == ("anna", "cy", "bo")


CLUSTER = """
[cluster]
namespace = "ml"
cpu = 1.5
memory = "3Gi"
"nvidia.com/gpu" = 8
"""


def test_what_it_may_say_of_a_cluster(tmp_path: Path) -> None:
    users = "[users.anna]\naccount = 'anna@example.org'\nnamespace = 'ml-anna'\n"
    rules = load_rules(file(tmp_path, f"{users}{CLUSTER}[classes]\nurgent = 10\ncalm = -5"))
    resources = {"cpu": 1500, "memory": 3 * 2**30, "nvidia.com/gpu": 8}
    assert rules.cluster == Cluster("ml", "ml", resources)
    assert rules.classes == {"urgent": 10, "calm": -5}
    assert rules.users == {"anna": Member(account="anna@example.org", namespace="ml-anna")}


def test_without_a_file_there_are_no_rules(tmp_path: Path) -> None:
    assert load_rules(tmp_path / "queue.toml") == Rules()
    with pytest.raises(RefusedError, match="No such file"):
        load_rules(tmp_path / "queue.toml", needed=True)
    Rules().check_class("anna", 10**6)


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("pools = 3", "pools", "no table"),
        ("[pool]", "pool", "Did you mean 'pools'?"),
        ("[pools]\na = -1", "pools.a", "-1"),
        ("[pools]\na = true", "pools.a", "True"),
        ("[pools]\na = 1.5", "pools.a", "1.5"),
        ("[pools]\na = 99999999999999999999", "pools.a", "not a whole number"),
        ("[groups]\nvision = 0", "groups.vision", "not a weight"),
        ("[groups]\nvision = nan", "groups.vision", "not a weight"),
        ("[groups]\nvision = inf", "groups.vision", "not a weight"),
        (f"[groups]\nvision = {'9' * 400}", "groups.vision", "not a weight"),
        ("[groups]\nvision = 1\n[users.anna]\ngroup = 'vison'", "users.anna.group", "Did you mean 'vision'?"),
        (f"[pools]\na = 0x{'f' * 9000}", "pools.a", "this number is not a whole number from 0"),
        (f"[pools]\na = '{'f' * 9000}'", "pools.a", "fff… is not"),
        ("[users.anna]\ngroup = ''", "users.anna.group", "no group ''"),
        ("[users.anna]\ngroup = 3", "users.anna.group", "no group 3"),
        ("[users.anna]\nweight = 2", "users.anna.weight", "inside a group"),
        ("[users.anna]\nhighest = 'top'", "users.anna.highest", "'top'"),
        ("[users]\nanna = 1", "users.anna", "no table"),
        ("[users.anna]\nprio = 3", "users.anna.prio", "nobody knows"),
        ("[elastic]\nsettled = -1", "elastic.settled", "-1"),
        ("[elastic]\nsettles = 1", "elastic.settles", "Did you mean 'settled'?"),
        ("[others]\ngroup = 'x'", "others.group", "nobody knows"),
        ("[users.anna]\ngroup = ['vision']", "users.anna.group", "no group"),
        ("[users.anna]\naccount = 3", "users.anna.account", "no text"),
        ("[users.anna]\nnamespace = 'No'", "users.anna.namespace", "no name to Kubernetes"),
        ("cluster = 3", "cluster", "no table"),
        ("[cluster]\ncpu = 1\nmemory = 1", "cluster.namespace", "not there"),
        ("[cluster]\nnamespace = 'ml'\ncpu = 1", "cluster.memory", "not there"),
        (f"{CLUSTER}cpus = 1", "cluster.cpus", "Did you mean 'cpu'?"),
        (f"{CLUSTER}cohort = 'A b'", "cluster.cohort", "'A b'"),
        (CLUSTER.replace("8", "1.5"), "cluster.nvidia.com/gpu", "no whole number"),
        (CLUSTER.replace("8", "true"), "cluster.nvidia.com/gpu", "no amount"),
        (CLUSTER.replace("1.5", "'much'"), "cluster.cpu", "no quantity"),
        (CLUSTER.replace("1.5", "0.0001"), "cluster.cpu", "no whole number of m"),
        (CLUSTER.replace("1.5", "-1"), "cluster.cpu", "not between"),
        (CLUSTER.replace("1.5", "nan"), "cluster.cpu", "no quantity"),
        (CLUSTER.replace("1.5", f"0x{'f' * 9000}"), "cluster.cpu", "no quantity"),
        ("[classes]\nUrgent = 1", "classes.Urgent", "no name to Kubernetes"),
        ("[classes]\nurgent = 1.5", "classes.urgent", "not a whole number"),
        ("[pools", "", "Expected ']'"),
    ],
)
def test_each_mistake_is_told_with_the_file_and_the_key(
    tmp_path: Path, text: str, key: str, said: str
) -> None:
    path = file(tmp_path, text)
    with pytest.raises(RefusedError) as caught:
        load_rules(path)
    assert caught.value.code == "TIP286"
    assert caught.value.where == str(path)
    assert said in caught.value.message
    if key:
        assert caught.value.message.startswith(f"{key}: ")


def test_what_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "queue.toml").write_bytes(b"\xff")
    with pytest.raises(RefusedError, match="cannot be read"):
        load_rules(tmp_path / "queue.toml")
    (tmp_path / "folder").mkdir()
    with pytest.raises(RefusedError, match="cannot be read"):
        load_rules(tmp_path / "folder")


def test_a_class_above_the_highest_is_refused(tmp_path: Path) -> None:
    rules = load_rules(file(tmp_path, WHOLE))
    rules.check_class("anna", 10)
    rules.check_class("bo", 99)
    for user, priority in (("anna", 11), ("stranger", 1)):
        with pytest.raises(RefusedError) as caught:
            rules.check_class(user, priority)
        assert caught.value.code == "TIP287"
        assert user in caught.value.message and str(priority) in caught.value.message


def test_the_file_is_read_again_when_it_changes_and_a_wrong_one_changes_nothing(tmp_path: Path) -> None:
    rules = RulesFile(tmp_path / "queue.toml")
    assert rules() == Rules()
    file(tmp_path, "[pools]\na = 1")
    assert rules().pools == {"a": 1}
    file(tmp_path, "[pools]\na = -1")
    assert rules().pools == {"a": 1}
    file(tmp_path, "[pools]\na = 12")
    assert rules().pools == {"a": 12}
    (tmp_path / "queue.toml").unlink()
    assert rules() == Rules()


def test_the_user_is_the_operating_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "root-of-all")
    monkeypatch.setenv("LOGNAME", "root-of-all")
    assert this_user() == pwd.getpwuid(os.geteuid()).pw_name
    monkeypatch.setattr(os, "geteuid", lambda: 2**31 - 7)
    assert this_user() == str(2**31 - 7)
