"""What the webhooks of the training operator (1.9.4, pkg/webhooks) ask of all kinds of jobs: a name, and containers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tiphys.argo.answers import ApiError
from tiphys.argo.names import generated_name
from tiphys.lazy import regex

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import TFReplica
    from tiphys.argo.pod_types import ObjectMeta

__all__ = ["container_problems", "denied", "name_of", "name_problems", "replica_path"]

_POLICIES = ("Always", "OnFailure", "Never", "ExitCode")
_NAME = regex(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def name_of(metadata: ObjectMeta) -> str:
    """Webhooks see the name that the API server has made of ``generateName``; here any will do that is as long."""
    name = str(metadata.get("name") or "")
    if not name and metadata.get("generateName"):
        name = generated_name(str(metadata["generateName"]))
    return name


def name_problems(name: str) -> list[str]:
    if _NAME.fullmatch(name) and len(name) <= 63:
        return []
    return [
        f'metadata.name: Invalid value: "{name}": should match: a DNS-1035 label must consist of lower case '
        "alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric "
        "character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
    ]


def replica_path(field: str, kind: str) -> str:
    return f"spec.{field}[{kind}]"


def container_problems(
    job: str, name: str, path: str, replica: TFReplica | Mapping[str, object] | None, container: str
) -> list[str]:
    """What is wrong with the containers of a replica. ``job``: the kind. Raises ApiError Invalid for a restart policy
    that the schema does not know."""
    replica = replica or {}
    policy = replica.get("restartPolicy")
    if policy is not None and policy not in _POLICIES:
        raise ApiError(
            "Invalid",
            f'{job}.kubeflow.org "{name}" is invalid: {path}.restartPolicy: Unsupported value: "{policy}": '
            'supported values: "Always", "OnFailure", "Never", "ExitCode"',
        )
    template = replica.get("template")
    spec = template.get("spec") if isinstance(template, Mapping) else None
    containers = spec.get("containers") if isinstance(spec, Mapping) else None
    where = f"{path}.template.spec.containers"
    if not isinstance(containers, list) or not containers:
        return [f"{where}: Required value: must be specified"]
    problems = [
        f"{where}[{index}].image: Required value: must be required"
        for index, each in enumerate(containers)
        if not each.get("image")
    ]
    if not any(each.get("name") == container for each in containers):
        problems.append(f"{where}: Required value: must have at least one container with name {container}")
    return problems


def denied(job: str, problems: list[str]) -> None:
    """Raise ApiError Forbidden, if there are any."""
    if problems:
        webhook = f"validator.{job.lower()}.training-operator.kubeflow.org"
        raise ApiError(
            "Forbidden", f'admission webhook "{webhook}" denied the request: {", ".join(problems)}'
        )
