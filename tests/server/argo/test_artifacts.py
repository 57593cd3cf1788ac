"""The bytes of artifacts are what the step wrote: fetched with Hera's client, and with the real ``argo cp``."""

from __future__ import annotations

import ast
import gzip
import tarfile
from pathlib import Path

import pytest
from hera.exceptions import NotFound
from hera.workflows import WorkflowsService

from tests.server.argo.conftest import Ask
from tests.server.running import Running

pytestmark = pytest.mark.filterwarnings("ignore:The `")  # Hera's own use of pydantic

WRITES = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Workflow",
    "metadata": {"generateName": "writes-"},
    "spec": {
        "entrypoint": "main",
        "templates": [
            {
                "name": "main",
                "dag": {
                    "tasks": [
                        {"name": "make", "template": "make"},
                        {
                            "name": "take",
                            "template": "take",
                            "depends": "make",
                            "arguments": {
                                "artifacts": [
                                    {"name": "in", "from": "{{tasks.make.outputs.artifacts.plain}}"}
                                ]
                            },
                        },
                    ]
                },
            },
            {
                "name": "make",
                "container": {
                    "image": "x",
                    "command": ["sh", "-c"],
                    "args": [
                        "echo plain > plain.txt; mkdir -p site/sub; echo '<script>' > 'site/a b.html'; "
                        "echo deep > site/sub/deep.txt; echo packed > packed.txt"
                    ],
                },
                "outputs": {
                    "artifacts": [
                        {"name": "plain", "path": "plain.txt", "archive": {"none": {}}},
                        {"name": "packed", "path": "packed.txt"},
                        {"name": "site", "path": "site", "archive": {"none": {}}},
                    ]
                },
            },
            {
                "name": "take",
                "inputs": {"artifacts": [{"name": "in", "path": "in.txt"}]},
                "container": {"image": "x", "command": ["cat", "in.txt"]},
            },
        ],
    },
}


@pytest.fixture(scope="module")
def made(running: Running) -> tuple[str, str, dict[str, str]]:
    """The name and uid of a run, and its nodes by what they are called."""
    name = running.submit(WRITES)
    found = running.until(name, "Succeeded", "Failed", "Error")
    nodes = {each["displayName"]: key for key, each in found["status"]["nodes"].items()}  # type: ignore[index]
    assert found["status"]["phase"] == "Succeeded", found  # type: ignore[index]
    return name, str(found["metadata"]["uid"]), nodes  # type: ignore[index]


def test_hera_fetches_them(hera: WorkflowsService, made: tuple[str, str, dict[str, str]]) -> None:
    name, uid, nodes = made

    def read(said: str) -> bytes:
        return bytes(ast.literal_eval(said))  # it is str(bytes)

    assert read(hera.get_output_artifact(name, nodes["make"], "plain")) == b"plain\n"
    assert read(hera.get_output_artifact_by_uid(uid, nodes["make"], "plain")) == b"plain\n"
    assert read(hera.get_input_artifact(name, nodes["take"], "in")) == b"plain\n"
    assert read(hera.get_input_artifact_by_uid(uid, nodes["take"], "in")) == b"plain\n"
    assert read(hera.get_artifact_file("workflows", name, nodes["make"], "plain", "outputs")) == b"plain\n"
    packed = read(hera.get_artifact_file("archived-workflows", uid, nodes["make"], "packed", "outputs"))
    assert b"packed\n" in gzip.decompress(packed)
    with pytest.raises(NotFound):
        hera.get_output_artifact(name, nodes["make"], "none")
    with pytest.raises(NotFound):
        hera.get_output_artifact(name, "none", "plain")


def test_folders_are_shown_and_what_they_hold_may_run_nothing(
    running: Running, made: tuple[str, str, dict[str, str]]
) -> None:
    name, _, nodes = made
    base = f"/artifact-files/argo/workflows/{name}/{nodes['make']}/outputs/site"
    shown = running.ask("GET", base)
    assert shown.url.endswith("/site/")
    assert 'href="./a%20b.html"' in shown.text and 'href="./sub/"' in shown.text
    page = running.ask("GET", f"{base}/a%20b.html")
    assert page.text == "<script>\n"
    assert page.headers["Content-Security-Policy"].startswith("sandbox;")
    assert page.headers["Content-Type"].startswith("text/html")
    assert running.ask("GET", f"{base}/sub/deep.txt").text == "deep\n"


@pytest.mark.parametrize(
    "path",
    [
        "%2e%2e/%2e%2e/%2e%2e/journal.db",
        "..%2f..%2fx/plain.txt",
        "sub/../../plain.txt",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "sub%00/deep.txt",
    ],
)
def test_no_path_leads_out_of_an_artifact(
    running: Running, made: tuple[str, str, dict[str, str]], path: str
) -> None:
    name, _, nodes = made
    found = running.ask("GET", f"/artifact-files/argo/workflows/{name}/{nodes['make']}/outputs/site/{path}")
    assert found.status_code in (400, 404)


def test_the_real_argo_copies_them(argo: Ask, made: tuple[str, str, dict[str, str]], tmp_path: Path) -> None:
    name, _, nodes = made
    for which in ("plain", "packed"):
        argo("cp", name, str(tmp_path), "--artifact-name", which)
    place = tmp_path / "argo" / name / nodes["make"] / "outputs"
    assert (place / "plain" / "plain.txt").read_text() == "plain\n"
    with tarfile.open(place / "packed" / "packed.tgz") as found:
        (member,) = [each for each in found.getmembers() if each.isfile()]
        assert found.extractfile(member).read() == b"packed\n"  # type: ignore[union-attr]
