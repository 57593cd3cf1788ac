"""``/etc/hosts`` in a pod: what a kubelet (1.33) wrote for the same workflows, but for the address."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import execute, node, sandboxed, shell, workflow
from tiphys.engine.pods.hosts import hosts_file

Json = Any
HEAD = """\
# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
10.22.0.213\tpod
"""
ADDED = "\n# Entries added by HostAliases.\n"
TWO = [{"ip": "10.1.2.3", "hostnames": ["one", "two"]}, {"ip": "10.1.2.6", "hostnames": ["six"]}]


@pytest.mark.parametrize(
    ("aliases", "tail"),
    [
        ([], ""),
        ([{"ip": "10.1.2.3", "hostnames": ["one", "two"]}], f"{ADDED}10.1.2.3\tone\ttwo\n"),
        (
            [TWO[0], {"ip": "10.1.2.4", "hostnames": ["three"]}, {"ip": "10.1.2.5"}],
            f"{ADDED}10.1.2.3\tone\ttwo\n10.1.2.4\tthree\n10.1.2.5\t\n",
        ),
    ],
)
def test_the_text(aliases: list[Json], tail: str) -> None:
    assert hosts_file("10.22.0.213", "pod", aliases) == HEAD + tail


def seen(tmp_path: Path, template: dict[str, Json], **spec: Json) -> tuple[str, str]:
    """What a sandboxed step finds in the file: its beginning, and the aliases."""
    outputs = {"parameters": [{"name": "r", "valueFrom": {"path": "/tmp/r"}}]}
    main = shell("main", "cat /etc/hosts > /tmp/r", outputs=outputs, **template)
    result = execute(tmp_path, workflow(main, **spec), runner="sandbox")
    assert result.succeeded, result.message
    (parameter,) = node(result, result.name)["outputs"]["parameters"]
    head, _, tail = parameter["value"].partition(ADDED)
    last = head.splitlines()[-1].split("\t")
    assert head.splitlines()[:-1] == HEAD.splitlines()[:-1] and last == ["127.0.0.1", result.name]
    return head, tail.rstrip("\n")


@sandboxed
def test_every_pod_has_one(tmp_path: Path) -> None:
    assert seen(tmp_path, {})[1] == ""


@sandboxed
def test_the_workflows_come_before_the_templates(tmp_path: Path) -> None:
    template = {"hostAliases": [{"ip": "10.1.2.3", "hostnames": ["again"]}]}
    expected = "10.1.2.3\tone\ttwo\n10.1.2.6\tsix\n10.1.2.3\tagain"
    assert seen(tmp_path, template, hostAliases=TWO)[1] == expected


@sandboxed
@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        (
            [{"ip": "10.1.2.9", "hostnames": ["nine"]}, {"ip": "10.1.2.6", "hostnames": ["sixer"]}],
            "10.1.2.9\tnine\n10.1.2.3\tone\ttwo\n10.1.2.6\tsixer",
        ),
        ([{"ip": each["ip"], "$patch": "delete"} for each in TWO], ""),
    ],
)
def test_a_patch_merges_them_by_address(tmp_path: Path, patch: list[Json], expected: str) -> None:
    template = {"podSpecPatch": json.dumps({"hostAliases": patch})}
    assert seen(tmp_path, template, hostAliases=TWO)[1] == expected


@sandboxed
def test_a_step_may_write_to_it(tmp_path: Path) -> None:
    before = Path("/etc/hosts").read_text()
    script = "echo 10.9.9.9 added >> /etc/hosts && getent hosts added"
    assert execute(tmp_path, workflow(shell("main", script)), runner="sandbox").succeeded
    assert Path("/etc/hosts").read_text() == before
