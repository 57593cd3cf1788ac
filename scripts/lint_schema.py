"""Write sdk/tiphys/argo/schema/data.json: what fields each Kubernetes and Argo object has, and their types.

    python scripts/lint_schema.py --crds DIR --openapi DIR

``--crds`` holds the CRDs of Argo 4.1.2 (workflowtasksets has the whole Template), of the training operator and of
JobSet 0.11.1.
``--openapi`` holds dumps of a cluster: ``kubectl get --raw /openapi/v3/api/v1 > DIR/api_v1.json`` and so on.
What Argo's Go types accept beyond their CRD (numbers where a parameter's value stands, steps as lists of
lists, the fields of WorkflowSpec) is written in schema_argo.py.

The file is a table of struct types: ``types[i] = [{field: reference}, [required fields]]``. A reference is

    s string   b boolean   i integer (32 bits)   l integer (64 bits)   n number   x integer or string
    q quantity   t time   v any scalar (AnyString)   * anything   a<ref> list   m<ref> map   #<i> struct i
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from schema_argo import argo
from schema_table import Converter, Json, Table, crd

OUT = Path(__file__).parent.parent / "sdk" / "tiphys" / "argo" / "schema" / "data.json"

# Kinds whose manifests a `resource` template may hold and that are checked field by field.
KINDS = {
    "api_v1": [
        "ConfigMap",
        "PersistentVolumeClaim",
        "Pod",
        "Secret",
        "Service",
        "ServiceAccount",
        "Namespace",
    ],
    "apis_apps_v1": ["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"],
    "apis_batch_v1": ["CronJob", "Job"],
    "apis_policy_v1": ["PodDisruptionBudget"],
    "apis_autoscaling_v2": ["HorizontalPodAutoscaler"],
    "apis_networking.k8s.io_v1": ["Ingress", "NetworkPolicy"],
    "apis_rbac.authorization.k8s.io_v1": ["Role", "RoleBinding"],
    "apis_scheduling.k8s.io_v1": ["PriorityClass"],
}
GROUPS = {
    "api_v1": ("", "v1", "io.k8s.api.core.v1"),
    "apis_apps_v1": ("apps", "v1", "io.k8s.api.apps.v1"),
    "apis_batch_v1": ("batch", "v1", "io.k8s.api.batch.v1"),
    "apis_policy_v1": ("policy", "v1", "io.k8s.api.policy.v1"),
    "apis_autoscaling_v2": ("autoscaling", "v2", "io.k8s.api.autoscaling.v2"),
    "apis_networking.k8s.io_v1": ("networking.k8s.io", "v1", "io.k8s.api.networking.v1"),
    "apis_rbac.authorization.k8s.io_v1": ("rbac.authorization.k8s.io", "v1", "io.k8s.api.rbac.v1"),
    "apis_scheduling.k8s.io_v1": ("scheduling.k8s.io", "v1", "io.k8s.api.scheduling.v1"),
}


def job_set(table: Table, schema: Json, meta: str, job: str, claim: str) -> str:
    """The JobSet; its parts that are Kubernetes' own (jobs, claims) are those that the table has already."""
    parts = {"template": job, "templates": "a" + claim}

    class Own(Converter):
        def object(self, part: Json) -> str:
            fields = {
                name: parts.get(name) or self.reference(inner)
                for name, inner in part.get("properties", {}).items()
            }
            return self.table.struct(fields, part.get("required", [])) if fields else super().object(part)

    own = Own(table)
    spec, status = own.reference(schema["spec"]), own.reference(schema["status"])
    fields = {"apiVersion": "s", "kind": "s", "metadata": meta, "spec": spec, "status": status}
    return table.struct(fields, [])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--crds", type=Path, required=True)
    parser.add_argument("--openapi", type=Path, required=True)
    arguments = parser.parse_args()
    table = Table()
    components: Json = {}
    for name in KINDS:
        components.update(
            json.loads((arguments.openapi / f"{name}.json").read_text())["components"]["schemas"]
        )
    core = Converter(table, components)
    roots = argo(table, arguments.crds, core)
    objects: dict[str, str] = {}
    for name, kinds in KINDS.items():
        api, version, package = GROUPS[name]
        for kind in kinds:
            objects[f"{api}/{version}/{kind}"] = core.named(f"{package}.{kind}")
    job = crd(arguments.crds, "kubeflow.org_tfjobs.yaml")
    meta = core.named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
    convert = Converter(table)
    objects["kubeflow.org/v1/TFJob"] = table.struct(
        {
            "apiVersion": "s",
            "kind": "s",
            "metadata": meta,
            "spec": convert.reference(job["spec"]),
            "status": convert.reference(job["status"]),
        },
        ["spec"],
    )
    objects["jobset.x-k8s.io/v1alpha2/JobSet"] = job_set(
        table,
        crd(arguments.crds, "jobset.x-k8s.io_jobsets.yaml"),
        meta,
        core.named("io.k8s.api.batch.v1.JobTemplateSpec"),
        core.named("io.k8s.api.core.v1.PersistentVolumeClaim"),
    )
    OUT.write_text(
        json.dumps({"types": table.types, "roots": roots, "objects": objects}, separators=(",", ":")) + "\n"
    )
    print(f"{OUT.name}: {len(table.types)} types, {OUT.stat().st_size} bytes")  # noqa: T201


if __name__ == "__main__":
    main()
