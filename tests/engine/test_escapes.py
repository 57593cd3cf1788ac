"""A workflow that nobody vouches for writes nowhere but in its own files: each way that was ever open."""

from __future__ import annotations

import functools
import http.server
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

import tiphys
from tests.engine.harness import IMAGE, RUNNERS, execute, log, node, python, sandboxed, shell, workflow
from tiphys.engine import RunOptions, RunResult
from tiphys.errors import RefusedError

Json = Any
UP = "../" * 24

every = pytest.mark.parametrize("runner", RUNNERS)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


def untouched(outside: Path) -> None:
    assert list(outside.iterdir()) == []


def with_mount(template: dict[str, Json], path: str = "/v", name: str = "v", **more: Json) -> dict[str, Json]:
    kind = "container" if "container" in template else "script"
    template[kind].setdefault("volumeMounts", []).append({"name": name, "mountPath": path, **more})
    return template


NAME = {"fieldRef": {"fieldPath": "metadata.name"}}
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "evil"}}


@every
@pytest.mark.parametrize(
    "volume",
    [
        {"name": "v", "configMap": {"name": "c", "items": [{"key": "a", "path": "{outside}/x"}]}},
        {"name": "v", "configMap": {"name": "c", "items": [{"key": "a", "path": "{up}{outside}/x"}]}},
        {"name": "v", "downwardAPI": {"items": [{"path": "{up}{outside}/x", **NAME}]}},
        {"name": "v", "hostPath": {"path": ".."}},
        {"name": "v", "hostPath": {"path": "/a/../.."}},
        {"name": "v", "configMap": {"name": "odd"}},
        {"name": "{up}{outside}", "emptyDir": {}},
    ],
    ids=["item", "item-up", "downward", "hostpath", "hostpath-up", "key", "name"],
)  # fmt: skip
def test_names_and_paths_are_refused_before_anything_runs(
    tmp_path: Path, outside: Path, runner: str, volume: dict[str, Json]
) -> None:
    def filled(value: Json) -> Json:
        if isinstance(value, dict):
            return {key: filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [filled(inner) for inner in value]
        return value.replace("{outside}", str(outside)).replace("{up}", UP)

    volume = filled(volume)
    odd = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "odd"},
        "data": {f"{outside}/x": "evil"},
    }
    flow = workflow(with_mount(shell("main", "touch /v/x"), name=volume["name"]), volumes=[volume])
    with pytest.raises(RefusedError) as caught:
        execute(tmp_path, flow, runner=runner, context=[CONFIG, odd])
    assert caught.value.code == "TIP228"
    untouched(outside)


@every
@pytest.mark.parametrize("kind", ["name", "item", "subPath", "sidecar"])
def test_what_a_tag_hides_is_refused_when_it_is_known(
    tmp_path: Path, outside: Path, runner: str, kind: str
) -> None:
    """A cluster's API server refuses that pod: the node is an Error, and the run goes on."""
    tag = "{{inputs.parameters.p}}"
    volume: dict[str, Json] = {"name": "v", "emptyDir": {}}
    main = shell("bad", "touch /v/x")
    more: dict[str, Json] = {}
    if kind == "name":
        volume["name"] = tag
        with_mount(main, name=tag)
    elif kind == "item":
        volume = {"name": "v", "configMap": {"name": "c", "items": [{"key": "a", "path": tag}]}}
        with_mount(main)
    elif kind == "subPath":
        with_mount(main, subPath=tag)
    else:
        with_mount(main)
        more["sidecars"] = [{"name": tag, "image": IMAGE, "command": ["true"]}]
    bad = {**main, **more, "volumes": [volume], "inputs": {"parameters": [{"name": "p"}]}}
    call = {"name": "bad", "template": "bad", "continueOn": {"error": True, "failed": True}}
    call["arguments"] = {"parameters": [{"name": "p", "value": f"{UP}{outside}/x"}]}
    good = shell("good", "echo fine")
    steps = {"name": "main", "steps": [[call], [{"name": "good", "template": "good"}]]}
    result = execute(tmp_path, workflow(steps, bad, good), runner=runner, context=[CONFIG])
    assert node(result, "bad")["phase"] == "Error", node(result, "bad")
    assert log(result, "good") == "fine\n"
    untouched(outside)


@every
@pytest.mark.parametrize("path", ["{up}{outside}/x", "../x", "./../../{outside}/x"])
def test_the_path_of_an_artifact_begins_at_the_containers_root(
    tmp_path: Path, outside: Path, runner: str, path: str
) -> None:
    """A container runtime takes a mount point's '..' from the container's own root."""
    path = path.format(up=UP, outside=str(outside)[1:])
    main = shell("main", "true")
    main["inputs"] = {"artifacts": [{"name": "a", "path": path, "raw": {"data": "evil"}}]}
    assert execute(tmp_path, workflow(main), runner=runner).succeeded
    untouched(outside)


@every
def test_the_working_directory_is_inside(tmp_path: Path, outside: Path, runner: str) -> None:
    main = shell("main", "pwd; touch x")
    main["container"]["workingDir"] = f"/{UP}{str(outside)[1:]}/w"
    result = execute(tmp_path, workflow(main), runner=runner)
    assert result.succeeded, (result.message, log(result, result.name))
    untouched(outside)


PLANT = (
    "ln -s {outside} /v/l; ln -s {up}{outside} /v/m; ln -s /oldroot{outside} /v/o; ln -s /proc/self/cwd /v/p"
)


def two(tmp_path: Path, runner: str, outside: Path, second: dict[str, Json]) -> RunResult:
    """A step that leaves links in a claim, then another one on the same claim."""
    plant = with_mount(shell("plant", PLANT.format(outside=outside, up=UP)))
    steps = [[{"name": "plant", "template": "plant"}], [{"name": "second", "template": "second"}]]
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    claims = [{"metadata": {"name": "v"}, "spec": wanted}]
    flow = workflow({"name": "main", "steps": steps}, plant, second, volumeClaimTemplates=claims)
    return execute(tmp_path, flow, runner=runner)


@every
@pytest.mark.parametrize("link", ["l", "m", "o", "p"])
def test_an_artifact_is_not_laid_through_a_link_in_a_volume(
    tmp_path: Path, outside: Path, runner: str, link: str
) -> None:
    second = with_mount(shell("second", "true"))
    second["inputs"] = {"artifacts": [
        {"name": "a", "path": f"/v/{link}/deep/x", "raw": {"data": "evil"}},
        {"name": "b", "path": f"/v/{link}/y", "raw": {"data": "evil"}},
    ]}  # fmt: skip
    two(tmp_path, runner, outside, second)
    untouched(outside)


@every
@pytest.mark.parametrize("link", ["l", "m", "o"])
def test_an_artifact_in_the_place_of_a_link(tmp_path: Path, outside: Path, runner: str, link: str) -> None:
    second = with_mount(shell("second", f"cat /v/{link}"))
    second["inputs"] = {"artifacts": [{"name": "a", "path": f"/v/{link}", "raw": {"data": "mine"}}]}
    result = two(tmp_path, runner, outside, second)
    assert log(result, "second") == "mine"
    untouched(outside)


@every
@pytest.mark.parametrize("link", ["l", "m", "l/deep", "o/deep"])
def test_a_part_of_a_volume_is_not_reached_through_a_link(
    tmp_path: Path, outside: Path, runner: str, link: str
) -> None:
    second = with_mount(shell("second", "touch /w/x"), "/w", subPath=link)
    result = two(tmp_path, runner, outside, second)
    assert "failed to prepare subPath" in node(result, "second")["message"]
    untouched(outside)


@every
@pytest.mark.parametrize("link", ["l", "m", "o"])
def test_a_volume_is_not_mounted_through_a_link(
    tmp_path: Path, outside: Path, runner: str, link: str
) -> None:
    second = with_mount(shell("second", "true"))
    with_mount(second, f"/v/{link}/inner/w", "w")
    second["volumes"] = [{"name": "w", "emptyDir": {}}]
    two(tmp_path, runner, outside, second)
    untouched(outside)


@every
@pytest.mark.parametrize("link", ["l", "m", "o"])
def test_no_working_directory_is_made_through_a_link(
    tmp_path: Path, outside: Path, runner: str, link: str
) -> None:
    second = with_mount(shell("second", "true"))
    second["container"]["workingDir"] = f"/v/{link}/w"
    two(tmp_path, runner, outside, second)
    untouched(outside)


@every
@pytest.mark.parametrize("key", ["d/../../../../x", "d/a/../../b", "d/{outside}/x"])
def test_keys_of_an_object_store_stay_in_their_folder(
    tmp_path: Path, outside: Path, runner: str, key: str
) -> None:
    key = key.format(outside=UP + str(outside)[1:])
    make = shell("make", "echo evil > /tmp/o")
    make["outputs"] = {
        "artifacts": [{"name": "o", "path": "/tmp/o", "archive": {"none": {}}, "s3": {"key": key}}]
    }
    use = shell("use", "find /tmp/i -type f | wc -l")
    use["inputs"] = {"artifacts": [{"name": "i", "path": "/tmp/i", "s3": {"key": "d"}}]}
    steps = {
        "name": "main",
        "steps": [[{"name": "make", "template": "make"}], [{"name": "use", "template": "use"}]],
    }
    result = execute(tmp_path, workflow(steps, make, use), runner=runner)
    assert node(result, "use")["phase"] == "Error"
    assert "leads out of the folder" in node(result, "use")["message"]
    untouched(outside)


@every
def test_links_through_links_of_an_archive(tmp_path: Path, outside: Path, runner: str) -> None:
    """The class of CVE-2025-66626: https://github.com/argoproj/argo-workflows/security/advisories"""
    source = (
        "import tarfile\nt = tarfile.open('/tmp/o.tgz', 'w:gz')\n"
        "def add(name, kind, link=''):\n"
        "    i = tarfile.TarInfo(name); i.type = kind; i.linkname = link; i.mode = 0o755; t.addfile(i)\n"
        "deep = '/'.join('d%d' % n for n in range(24))\nadd(deep, tarfile.DIRTYPE)\n"
        "add(deep + '/l', tarfile.SYMTYPE, '/'.join(['..'] * 24))\n"
        "add('x', tarfile.SYMTYPE, deep + '/l/' + '/'.join(['..'] * 20))\n"
        f"add('x{outside}/evil', tarfile.SYMTYPE, 'z')\nt.close()\n"
    )
    made = python("a", source)
    made["outputs"] = {
        "artifacts": [{"name": "o", "path": "/tmp/o.tgz", "archive": {"none": {}}, "s3": {"key": "e"}}]
    }
    used = shell("b", "true", inputs={"artifacts": [{"name": "i", "path": "/tmp/i", "s3": {"key": "e"}}]})
    steps = {"name": "main", "steps": [[{"name": "a", "template": "a"}], [{"name": "b", "template": "b"}]]}
    result = execute(tmp_path, workflow(steps, made, used), runner=runner)
    assert "TIP442" in node(result, "b")["message"]
    assert node(result, "b")["phase"] == "Error"
    untouched(outside)


@every
@pytest.mark.parametrize("name", ["../../x", "/x", "a/b"])
def test_the_names_of_objects(tmp_path: Path, runner: str, name: str) -> None:
    manifest = f'{{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": "{name}"}}}}'
    main = {"name": "main", "resource": {"action": "create", "manifest": manifest}}
    result = execute(tmp_path, workflow(main), runner=runner)
    assert "a lowercase RFC 1123 subdomain must consist" in node(result, result.name)["message"]
    assert not list(tmp_path.rglob("*balancer*"))


@sandboxed
def test_a_probe_makes_nothing_through_what_the_step_has_moved(tmp_path: Path, outside: Path) -> None:
    """The sandbox of an exec probe is made in the files of a step that runs."""
    source = (
        "import os, time\nopen('/usr/local/share/x', 'w').close()\n"
        f"os.rename('/usr', '/moved')\nos.symlink('{outside}', '/usr')\ntime.sleep(3)\n"
    )
    main = python("main", source)
    main["outputs"] = {
        "parameters": [{"name": "x", "valueFrom": {"path": "/usr/local/share/x", "default": ""}}]
    }
    main["script"]["livenessProbe"] = {
        "exec": {"command": ["true"]},
        "periodSeconds": 1,
        "failureThreshold": 99,
    }
    execute(tmp_path, workflow(main), runner="sandbox")
    untouched(outside)


class Evil(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"evil")

    def log_message(self, *_: object) -> None:
        pass


@every
def test_what_is_fetched_takes_no_name_that_a_step_knows(tmp_path: Path, outside: Path, runner: str) -> None:
    """A file that is downloaded has a temporary name; a link may be there already."""
    (outside / "x").touch()
    names = [f".i{end}" for end in (".download", ".object", ".part", ".tmp", "")]
    plant = with_mount(shell("plant", "; ".join(f"ln -s {outside}/x /v/{name}" for name in names)))
    steps = [[{"name": "plant", "template": "plant"}], [{"name": "second", "template": "second"}]]
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    claims = [{"metadata": {"name": "v"}, "spec": wanted}]
    second = with_mount(shell("second", "cat /v/i"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Evil) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        second["inputs"] = {"artifacts": [{"name": "i", "path": "/v/i", "http": {"url": url}}]}
        flow = workflow({"name": "main", "steps": steps}, plant, second, volumeClaimTemplates=claims)
        result = execute(tmp_path, flow, runner=runner, network="host")
        server.shutdown()
    assert log(result, "second") == "evil"
    assert (outside / "x").read_bytes() == b""


@every
def test_nothing_is_cloned_through_a_link(tmp_path: Path, outside: Path, runner: str) -> None:
    source = tmp_path / "source"
    subprocess.run(["git", "init", "-q", str(source)], check=True)
    whose = ["-c", "user.name=a", "-c", "user.email=a@b"]
    words = [*whose, "commit", "-q", "--allow-empty", "-m", "x"]
    subprocess.run(["git", "-C", str(source), *words], check=True)
    subprocess.run(["git", "-C", str(source), "update-server-info"], check=True)
    second = with_mount(shell("second", "ls -d /v/l/.git"))
    served = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(source / ".git"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), served) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = {"repo": f"http://127.0.0.1:{server.server_port}"}
        second["inputs"] = {"artifacts": [{"name": "i", "path": "/v/l", "git": place}]}
        result = two(tmp_path, runner, outside, second)
        server.shutdown()
    assert log(result, "second").endswith("v/l/.git\n")
    untouched(outside)


def test_the_line_is_told(tmp_path: Path) -> None:
    flow = tmp_path / "flow.yaml"
    flow.write_text(
        "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: e}\nspec:\n  entrypoint: m\n"
        "  templates:\n  - name: m\n    container: {image: alpine, command: ['true']}\n"
        "    volumes:\n    - name: v\n      hostPath:\n        path: /a/../b\n"
    )
    with pytest.raises(RefusedError) as caught:
        tiphys.run(str(flow), options=RunOptions(store=tmp_path / "store"))
    assert caught.value.code == "TIP228"
    assert f"{flow}:12:15" in str(caught.value)
    assert not (tmp_path / "store").exists()
