"""Kueue's, Volcano's and JobSet's own definitions, as far as a package registry has them.

kube-custom-resources-rs publishes Rust types that kopium generates from the CustomResourceDefinitions of many
projects, among them these two: every field, its type, whether it is required, its enumeration. ``cargo info``
fetches such a crate; its source is read here and turned into schemas. What the types do not tell (bounds,
patterns, rules between fields) is not here.

The module proxy of Go has the whole of JobSet, with its CustomResourceDefinition.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

__all__ = [
    "CRATES",
    "MODULES",
    "definition",
    "fetch",
    "fields",
    "jobset",
    "jobset_definition",
    "misfits",
    "published",
    "schema",
]

Json = dict[str, Any]
# kind: (crate, version of the crate, file)
CRATES = {
    "ClusterQueue": ("kcr_kueue_x_k8s_io", "3.20260529.113958", "v1beta2/clusterqueues.rs"),
    "LocalQueue": ("kcr_kueue_x_k8s_io", "3.20260529.113958", "v1beta2/localqueues.rs"),
    "ResourceFlavor": ("kcr_kueue_x_k8s_io", "3.20260529.113958", "v1beta2/resourceflavors.rs"),
    "Queue": ("kcr_scheduling_volcano_sh", "3.20260530.111213", "v1beta1/queues.rs"),
    "PodGroup": ("kcr_scheduling_volcano_sh", "3.20260530.111213", "v1beta1/podgroups.rs"),
}
JOBSET = ("sigs.k8s.io/jobset@v0.11.1", "config/components/crd/bases/jobset.x-k8s.io_jobsets.yaml")
_OPERATOR = "github.com/kubeflow/training-operator@v1.9.4"
# kind: (module of Go, file)
MODULES = {
    "PyTorchJob": (_OPERATOR, "manifests/base/crds/kubeflow.org_pytorchjobs.yaml"),
    "MPIJob": (_OPERATOR, "manifests/base/crds/kubeflow.org_mpijobs.yaml"),
    "XGBoostJob": (_OPERATOR, "manifests/base/crds/kubeflow.org_xgboostjobs.yaml"),
    "TrainJob": (
        "github.com/kubeflow/trainer/v2@v2.2.0",
        "manifests/base/crds/trainer.kubeflow.org_trainjobs.yaml",
    ),
    "RayJob": ("github.com/ray-project/kuberay/ray-operator@v1.4.2", "config/crd/bases/ray.io_rayjobs.yaml"),
}
_GATEWAY = "sigs.k8s.io/gateway-api@v1.5.0"
MODULES |= {
    kind: (_GATEWAY, f"config/crd/standard/gateway.networking.k8s.io_{kind.lower()}s.yaml")
    for kind in ("HTTPRoute", "GRPCRoute")
}
_ITEM = re.compile(r"^pub (struct|enum) (\w+) \{\n(.*?)^\}", re.M | re.S)
_FIELD = re.compile(r"((?:^    #\[.*\]\n)*)^    pub (?:r#)?(\w+): (.+),$", re.M)
_VARIANT = re.compile(r"((?:^    #\[.*\]\n)*)^    (\w+),$", re.M)
_RENAME = re.compile(r'rename = "([^"]+)"')
_PLAIN = {
    "String": {"type": "string"},
    "bool": {"type": "boolean"},
    "i32": {"type": "integer"},
    "i64": {"type": "integer"},
    "IntOrString": {"x-kubernetes-int-or-string": True},
}


def fetch(folder: Path) -> dict[str, str]:
    """Fetch the crates into ``folder`` and return the source by kind. Raises OSError where that cannot be done."""
    cargo = shutil.which("cargo")
    if cargo is None:
        raise OSError("cargo is not installed")
    for crate, version in sorted({(crate, version) for crate, version, _ in CRATES.values()}):
        done = subprocess.run(
            [cargo, "info", f"{crate}@{version}"],
            env={**os.environ, "CARGO_HOME": str(folder)},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise OSError(f"cargo info {crate}: {done.stderr.strip()[-300:]}")
    found = {}
    for kind, (crate, version, file) in CRATES.items():
        package = next(folder.rglob(f"{crate}-{version}.crate"))
        with tarfile.open(package) as archive:
            member = archive.extractfile(f"{crate}-{version}/src/{file}")
            if member is None:
                raise OSError(f"{file} is not in {package.name}")
            found[kind] = member.read().decode()
    return found


def jobset() -> Json:
    """The schema of JobSet v1alpha2, of the whole object. Raises as :func:`jobset_definition`."""
    (version,) = jobset_definition()["spec"]["versions"]
    assert version["name"] == "v1alpha2"
    found: Json = version["schema"]["openAPIV3Schema"]
    return found


def jobset_definition() -> Json:
    """JobSet's CustomResourceDefinition. Raises OSError where it cannot be fetched."""
    return _definition(*JOBSET)


def definition(kind: str) -> Json:
    """The CustomResourceDefinition of a kind of job or route. Raises OSError where it cannot be fetched."""
    return jobset_definition() if kind == "JobSet" else _definition(*MODULES[kind])


def published(kind: str) -> Json:
    """The schema of the version of ``kind`` that its project stores, of the whole object. Raises OSError where it
    cannot be fetched."""
    versions = definition(kind)["spec"]["versions"]
    found: Json = next(each for each in versions if each["storage"])["schema"]["openAPIV3Schema"]
    return found


def _definition(module: str, file: str) -> Json:
    go = shutil.which("go")
    if go is None:
        raise OSError("go is not installed")
    done = subprocess.run(
        [go, "mod", "download", "-json", module], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise OSError(f"go mod download {module}: {(done.stdout + done.stderr).strip()[-300:]}")
    found: Json = yaml.load((Path(json.loads(done.stdout)["Dir"]) / file).read_text(), yaml.CSafeLoader)
    return found


_TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


def misfits(value: Any, schema: Json, path: str = "") -> Iterator[str]:
    """What the API server has against a value, with ``fieldValidation=Strict``: types, enumerations, bounds, what is
    required, fields that are not known."""
    kind = schema.get("type")
    if kind and (not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{path}: {value!r} is no {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {schema['enum']}"
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{path}: {value!r} is less than {schema['minimum']}"
    if kind == "array":
        for index, item in enumerate(value):
            yield from misfits(item, schema["items"], f"{path}[{index}]")
    if kind == "object" and not schema.get("x-kubernetes-preserve-unknown-fields"):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        yield from (f"{path}.{name}: required" for name in schema.get("required", ()) if name not in value)
        for name, item in value.items():
            inner = properties.get(name, others)
            if inner is not None:
                yield from misfits(item, inner, f"{path}.{name}")
            elif path != ".metadata":  # ObjectMeta is the API server's own
                yield f"{path}.{name}: unknown field"


def schema(source: str, kind: str) -> Json:
    """The schema of the spec of ``kind``."""
    items = {name: (sort, body) for sort, name, body in _ITEM.findall(source)}
    return _of(f"{kind}Spec", items)


def _of(rust: str, items: dict[str, tuple[str, str]]) -> Json:
    outer, _, inner = rust.rstrip(">").partition("<")
    if outer == "Option":
        return _of(rust[7:-1], items)
    if outer == "Vec":
        return {"type": "array", "items": _of(rust[4:-1], items)}
    if outer == "BTreeMap":
        return {"type": "object", "additionalProperties": _of(rust[len("BTreeMap<String, ") : -1], items)}
    if rust in _PLAIN:
        return dict(_PLAIN[rust])
    if rust not in items:
        raise ValueError(f"unknown type {rust} ({inner})")
    sort, body = items[rust]
    if sort == "enum":
        return {"type": "string", "enum": [_name(*found) for found in _VARIANT.findall(body)]}
    made: Json = {"type": "object", "properties": {}}
    for attributes, field, value in _FIELD.findall(body):
        made["properties"][_name(attributes, field)] = _of(value, items)
        if not value.startswith("Option<"):
            made.setdefault("required", []).append(_name(attributes, field))
    return made


def _name(attributes: str, name: str) -> str:
    renamed = _RENAME.search(attributes)
    return renamed[1] if renamed else name


def fields(part: Json, path: str = "spec") -> dict[str, str]:
    """Each field of a schema in words: its type, its enumeration, what it requires."""
    kind = "quantity" if part.get("x-kubernetes-int-or-string") else str(part.get("type"))
    words = " ".join([kind, *sorted(part.get("enum") or ()), "needs", *sorted(part.get("required") or ())])
    found = {path: words}
    for name, inner in (part.get("properties") or {}).items():
        found |= fields(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(part.get(key), dict):
            found |= fields(part[key], f"{path}[]")
    return found
