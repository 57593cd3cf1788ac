"""The kinds that have a local stand-in, and how ``kubectl`` may name them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tiphys.argo.answers import ApiError
from tiphys.argo.gateway import GROUP
from tiphys.errors import RefusedError, did_you_mean
from tiphys.frozen import frozen

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import KubeObject

__all__ = ["KINDS", "Kind", "already_exists", "check_manifest", "find_kind", "split_kinds"]


@frozen
class Kind:
    """A kind of object: ``resource`` is what messages call it (``tfjobs.kubeflow.org``)."""

    kind: str
    group: str
    versions: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def resource(self) -> str:
        return f"{self.names[0]}.{self.group}" if self.group else self.names[0]

    @property
    def singular(self) -> str:
        """As ``kubectl -o name`` prints it."""
        return f"{self.kind.lower()}.{self.group}" if self.group else self.kind.lower()


KINDS: tuple[Kind, ...] = (
    Kind("TFJob", "kubeflow.org", ("v1",), ("tfjobs", "tfjob")),
    Kind("PyTorchJob", "kubeflow.org", ("v1",), ("pytorchjobs", "pytorchjob")),
    Kind("JobSet", "jobset.x-k8s.io", ("v1alpha2",), ("jobsets", "jobset")),
    Kind("Deployment", "apps", ("v1",), ("deployments", "deployment", "deploy")),
    Kind("Service", "", ("v1",), ("services", "service", "svc")),
    Kind("HTTPRoute", GROUP, ("v1",), ("httproutes", "httproute")),
    Kind("GRPCRoute", GROUP, ("v1",), ("grpcroutes", "grpcroute")),
    Kind("ConfigMap", "", ("v1",), ("configmaps", "configmap", "cm")),
    Kind("Secret", "", ("v1",), ("secrets", "secret")),
    Kind("Pod", "", ("v1",), ("pods", "pod", "po")),
    Kind("Job", "batch", ("v1",), ("jobs", "job")),
    Kind("Workflow", "argoproj.io", ("v1alpha1",), ("workflows", "workflow", "wf")),
    Kind(
        "PersistentVolumeClaim", "", ("v1",),
        ("persistentvolumeclaims", "persistentvolumeclaim", "pvc"),
    ),
)  # fmt: skip


def find_kind(word: str) -> Kind | None:
    """The kind behind ``TFJob``, ``tfjobs``, ``deploy``, ``deployments.apps``, ``deployments.v1.apps``."""
    name, _, rest = word.lower().partition(".")
    for kind in KINDS:
        if name in kind.names or name == kind.kind.lower():
            group = re.sub(r"^v\d\w*\.?", "", rest)
            if not group or group == kind.group:
                return kind
    return None


def split_kinds(words: str) -> list[Kind]:
    """The kinds of a flag such as ``tfjobs.kubeflow.org,deployments.apps,services``. Raises RefusedError."""
    found = []
    for word in words.split(","):
        kind = find_kind(word)
        if kind is None:
            raise _refuse(word, "")
        found.append(kind)
    return found


def already_exists(item: KubeObject) -> ApiError:
    """What the API server says to a second object of this kind and name."""
    kind = find_kind(str(item["kind"]))
    assert kind is not None
    return ApiError("AlreadyExists", f'{kind.resource} "{item["metadata"]["name"]}" already exists')


def check_manifest(manifest: KubeObject, where: str) -> Kind:
    """The kind of a manifest. Raises RefusedError for one without a stand-in."""
    word = str(manifest.get("kind") or "")
    kind = find_kind(word)
    version = str(manifest.get("apiVersion") or "")
    group, slash, _ = version.rpartition("/")
    if kind is None or (slash and group != kind.group):
        raise _refuse(f"{version} {word}".strip(), where)
    return kind


def kind_in_text(text: str) -> str:
    """The kind that a manifest with template tags names, or an empty string."""
    from tiphys.argo.reader import read_value  # 15 ms, and few runs have a text to read

    try:
        value = read_value(text)
    except RefusedError:
        value = None
    named = value.get("kind") if isinstance(value, dict) else None
    if isinstance(named, str):
        word = named
    else:
        match = re.search(r"""^\s*["']?kind["']?\s*:\s*["']?([A-Za-z]+)""", text, re.MULTILINE)
        word = match[1] if match else ""
    return "" if "{{" in word else word


_RUN_BY = {
    "MPIJob": "Kubeflow's training operator",
    "XGBoostJob": "Kubeflow's training operator",
    "TrainJob": "Kubeflow Trainer 2",
    "RayJob": "KubeRay",
}


def _refuse(word: str, where: str) -> RefusedError:
    known = [kind.kind for kind in KINDS]
    kind = word.split()[-1] if word else ""
    here = f"on this machine there are: {', '.join(known)}"
    if kind in _RUN_BY:
        hint, cause = "", f"{_RUN_BY[kind]} runs it; {here}"
        fix = 'run it on a cluster; here with_fakes(pipeline, {"STEP": Fake(model="pvc://…")}) runs the rest'
    else:
        hint, cause = did_you_mean(kind, known), here
        fix = "run this workflow on a cluster, or leave the step out with a `when`"
    text = f"resources of kind {word!r} have no local stand-in.{hint}"
    return RefusedError("TIP230", text, where=where, cause=cause, fix=fix)
