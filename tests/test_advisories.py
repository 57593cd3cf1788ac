"""What was found in Argo, and in those beside it, one test for each advisory that bears its name.

The kinds behind them have tests of their own where the code is; here it is asked of each by name whether this product
has it. An advisory whose repair was incomplete has the later ones beside it.
"""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import execute, node, python, shell, workflow
from tests.serving.conftest import add_version, ask, model_server
from tests.serving.test_http import make, status
from tiphys.errors import RefusedError, StoreError
from tiphys.graph import render
from tiphys.lint import lint
from tiphys.net import HttpLimits
from tiphys.store.unpack import UnpackLimits, unpack

__all__ = ["add_version", "ask", "make", "model_server"]  # fixtures


def codes(spec: dict[str, object], kind: str = "Workflow") -> set[str]:
    data = {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": "a"}, "spec": spec}
    return {found.code for found in lint(json.dumps(data))}


def test_cve_2021_37914_an_output_is_not_evaluated(tmp_path: Path) -> None:
    """GHSA-h563-xh25-x54q: with --strict-values; what components return never is (tests/dsl/test_verbatim.py)."""
    says = "print('{' + '{workflow.parameters.secret}}')"
    calls = [
        [{"name": "a", "template": "a"}],
        [{"name": "b", "template": "b",
          "arguments": {"parameters": [{"name": "x", "value": "{{steps.a.outputs.result}}"}]}}],
    ]  # fmt: skip
    made = workflow(
        {"name": "main", "steps": calls},
        python("a", says),
        shell("b", "true", inputs={"parameters": [{"name": "x"}]}),
        arguments={"parameters": [{"name": "secret", "value": "TOPSECRET"}]},
    )
    result = execute(tmp_path, made, strict_values=True)
    assert not result.succeeded
    assert all("inputs" not in each for each in result.workflow["status"]["nodes"].values())


def test_cve_2022_29164_text_of_a_workflow_is_no_html() -> None:
    hostile = "<script>alert(1)</script>"
    annotations = {"workflows.argoproj.io/title": hostile, "workflows.argoproj.io/description": hostile}
    made = workflow(
        {
            "name": "main",
            "steps": [[{"name": "a", "template": "b", "when": f"{hostile} == x", "withItems": [hostile]}]],
        },
        shell("b", "true", annotations={"workflows.argoproj.io/display-name": hostile}),
    )
    made["metadata"] = {"generateName": "a-", "annotations": annotations}
    for form in ("html", "svg"):
        assert "<script>alert" not in render(made, form)


def test_cve_2025_62156_no_entry_of_an_archive_leaves_its_folder(tmp_path: Path) -> None:
    """GHSA-p84v-gxvw-73pf (zip slip), as tar and as zip."""
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../../out"), io.BytesIO(b""))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr("../../out", "x")
    for name, kind in (("a.tgz", "tar"), ("a.zip", "zip")):
        box = tmp_path / kind / "in" / "it"
        box.mkdir(parents=True)
        with pytest.raises(StoreError, match="TIP442"):
            unpack(tmp_path / name, box, kind=kind, limits=UnpackLimits())
    assert not list(tmp_path.rglob("out"))


def test_cve_2025_66626_no_link_of_an_archive_leads_out(tmp_path: Path) -> None:
    """GHSA-xrqc-7xgx-c9vh, which got round the repair of 62156: a link, and then a file behind it; and by two links."""
    outside = tmp_path / "outside"
    outside.mkdir()
    for number, links in enumerate(([("l", str(outside))], [("a", "."), ("l", "a/../../outside")])):
        source, box = tmp_path / f"{number}.tgz", tmp_path / f"box{number}"
        box.mkdir()
        with tarfile.open(source, "w:gz") as archive:
            for name, target in links:
                info = tarfile.TarInfo(name)
                info.type, info.linkname = tarfile.SYMTYPE, target
                archive.addfile(info)
            archive.addfile(tarfile.TarInfo("l/written"), io.BytesIO(b""))
        with pytest.raises(StoreError, match="TIP442"):
            unpack(source, box, kind="tar", limits=UnpackLimits())
    assert not list(outside.iterdir())


@pytest.mark.parametrize("place", [{"http": {"url": "http://me:hunter2@127.0.0.1:1/x"}},
                                   {"git": {"repo": "http://me:hunter2@127.0.0.1:1/x"}}])  # fmt: skip
def test_cve_2025_62157_credentials_of_artifacts_are_in_no_message(
    tmp_path: Path, place: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    """And GHSA-7vf8-2cr6-54mf, where the repair was incomplete."""
    artifact = {"name": "a", "path": "/tmp/a", **place}
    result = execute(tmp_path, workflow(shell("main", "true", inputs={"artifacts": [artifact]})))
    assert not result.succeeded
    assert "hunter2" not in str(result.message) + node(result, result.name)["message"] + "".join(
        capfd.readouterr()
    )
    for log in (result.folder / "logs").rglob("*"):
        assert not log.is_file() or b"hunter2" not in log.read_bytes()


@pytest.mark.parametrize(
    "path", ["/api/v1/workflow-templates/argo", "/api/v1/cluster-workflow-templates/x", "/api/v1/info"]
)
def test_cve_2026_28229_no_server_gives_templates_away(
    model_server: Callable[..., Any], ask: Callable[..., Any], path: str
) -> None:
    """What listens here are model servers and their balancer: they know nothing of templates."""
    answer = ask(model_server().url, "GET", path)
    assert answer.status == 404 and b"template" not in answer.body.replace(path.encode(), b"")


def test_cve_2026_31892_a_patch_over_a_referenced_template_is_told() -> None:
    """GHSA-3wf5-g532-rcrr and GHSA-3775-99mw-8rp4: it gets round templateReferencing Strict."""
    spec = {"workflowTemplateRef": {"name": "vetted"}, "podSpecPatch": "containers: []"}
    assert "L371" in codes(spec)


def test_cve_2026_54526_a_patch_of_artifact_gc_is_told() -> None:
    spec = {"entrypoint": "m", "templates": [{"name": "m", "container": {"image": "a:1", "command": ["x"]}}]}
    assert "L372" in codes({**spec, "artifactGC": {"strategy": "Never", "podSpecPatch": "containers: []"}})


@pytest.mark.parametrize("value", ["", "null", "{", "-1", "x" * 100_000, "{{workflow.name}}", "\u0000"])
def test_cve_2026_40886_no_annotation_crashes_the_engine(tmp_path: Path, value: str) -> None:
    names = ["pod-name-format", "title", "schedule", "x"]
    made = workflow(shell("main", "true"))
    made["metadata"]["annotations"] = {f"workflows.argoproj.io/{name}": value for name in names}
    result = execute(tmp_path, made)
    assert result.phase in ("Succeeded", "Failed", "Error")
    made["metadata"]["annotations"] = value  # of the wrong type
    with pytest.raises(RefusedError):
        execute(tmp_path, made)


def test_ghsa_jcc8_a_body_without_end_is_refused(make: Callable[..., Any]) -> None:
    """GHSA-jcc8-g2q4-9fxq: what a request may hold is bounded before it is read."""
    length = HttpLimits().body_bytes + 1
    assert status(make().send(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % length)) == 413


@pytest.mark.parametrize("key", ["../../out", "/out", "a/../../../out"])
def test_kfp_12928_no_key_of_an_artifact_leaves_the_bucket(tmp_path: Path, key: str) -> None:
    artifact = {"name": "a", "path": "/tmp/a", "s3": {"key": key}}
    before = set(tmp_path.parent.iterdir())
    execute(tmp_path, workflow(shell("main", "echo x > /tmp/a", outputs={"artifacts": [artifact]})))
    assert set(tmp_path.parent.iterdir()) == before
    assert not [path for path in (tmp_path).iterdir() if path.name != "store"]
