"""What the training operator's webhook says of a TFJob (kubeflow.org/v1, operator 1.9.4, pkg/webhooks/tensorflow)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tiphys.argo.answers import ApiError
from tiphys.argo.names import generated_name

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import TFJobManifest

__all__ = ["TYPES", "validate_tfjob"]

TYPES = ("Chief", "Master", "PS", "Worker", "Evaluator")
_POLICIES = ("Always", "OnFailure", "Never", "ExitCode")
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_FORBIDDEN = 'admission webhook "validator.tfjob.training-operator.kubeflow.org" denied the request: '


def validate_tfjob(manifest: TFJobManifest) -> None:
    """What the operator's webhook checks (pkg/webhooks/tensorflow). Raises ApiError Forbidden.

    Webhooks see the name that the API server has made of ``generateName``; here any will do that is as long.
    """
    metadata = manifest.get("metadata") or {}
    name = str(metadata.get("name") or "")
    if not name and metadata.get("generateName"):
        name = generated_name(str(metadata["generateName"]))
    spec = manifest.get("spec") or {}
    problems = []
    if not _NAME.fullmatch(name) or len(name) > 63:
        problems.append(
            f'metadata.name: Invalid value: "{name}": should match: a DNS-1035 label must consist of lower case '
            "alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric "
            "character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
        )
    replicas = spec.get("tfReplicaSpecs")
    if not replicas:
        problems.append("spec.tfReplicaSpecs: Required value: must be specified")
    chiefs = 0
    for kind, replica in sorted((replicas or {}).items()):
        path = f"spec.tfReplicaSpecs[{kind}]"
        if kind not in TYPES:
            problems.append(f'{path}: Not supported value: "{kind}"')
        if kind in ("Chief", "Master"):
            chiefs += 1
        policy = (replica or {}).get("restartPolicy")
        if policy is not None and policy not in _POLICIES:
            raise ApiError(
                "Invalid",
                f'TFJob.kubeflow.org "{name}" is invalid: {path}.restartPolicy: Unsupported value: "{policy}": '
                'supported values: "Always", "OnFailure", "Never", "ExitCode"',
            )
        containers = (((replica or {}).get("template") or {}).get("spec") or {}).get("containers") or []
        if not containers:
            problems.append(f"{path}.template.spec.containers: Required value: must be specified")
            continue
        for index, container in enumerate(containers):
            if not container.get("image"):
                problems.append(
                    f"{path}.template.spec.containers[{index}].image: Required value: must be required"
                )
        if not any(container.get("name") == "tensorflow" for container in containers):
            problems.append(
                f"{path}.template.spec.containers: Required value: must have at least one container with name "
                "tensorflow"
            )
    if chiefs > 1:
        problems.append("spec.tfReplicaSpecs: Forbidden: must not have more than 1 Chief or Master role")
    if problems:
        raise ApiError("Forbidden", _FORBIDDEN + ", ".join(problems))
