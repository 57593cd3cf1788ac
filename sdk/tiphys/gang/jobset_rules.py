"""What a JobSet means here: one Indexed Job and the rules of its pods (JobSet 0.11.1, Kubernetes 1.35).

What JobSet's webhook (pkg/webhooks/jobset_webhook.go) and the API server refuse, and what has no local stand-in.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, cast

from tiphys.argo.answers import ApiError
from tiphys.argo.decode import decode
from tiphys.argo.names import generated_name
from tiphys.argo.schema import table
from tiphys.errors import RefusedError
from tiphys.lazy import regex

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import JobSetManifest, JobSpec, ReplicatedJob
    from tiphys.jsontypes import Json

__all__ = ["check_jobset", "has_succeeded", "indexes", "job_of", "pod_failure", "subdomain"]

_TYPE = "jobset.x-k8s.io/v1alpha2/JobSet"
_INDEXES = regex(r"\d+(-\d+)?(,\d+(-\d+)?)*")
_LABEL = regex(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_DENIED = 'admission webhook "vjobset.kb.io" denied the request: '
# per part: the fields that the stand-in heeds, and those of which it knows one value
_KNOWN: dict[str, dict[str, object]] = {
    "spec": {"network": ..., "replicatedJobs": ..., "successPolicy": ..., "suspend": False,
             "startupPolicy": {"startupPolicyOrder": "AnyOrder"}},
    "spec.network": {"enableDNSHostnames": True, "publishNotReadyAddresses": ..., "subdomain": ...},
    "spec.successPolicy": {"operator": "All", "targetReplicatedJobs": []},
    "spec.replicatedJobs[0]": {"name": ..., "replicas": 1, "groupName": ..., "template": ...},
    "spec.replicatedJobs[0].template": {"metadata": ..., "spec": ...},
    "spec.replicatedJobs[0].template.spec": {
        "completionMode": "Indexed", "parallelism": ..., "completions": ..., "backoffLimit": ...,
        "activeDeadlineSeconds": ..., "podFailurePolicy": ..., "successPolicy": ..., "template": ..., "suspend": False,
        "podReplacementPolicy": "Failed",
    },
}  # fmt: skip


def job_of(manifest: JobSetManifest) -> ReplicatedJob:
    """Its one job."""
    return manifest["spec"]["replicatedJobs"][0]


def subdomain(manifest: JobSetManifest) -> str:
    """The name under which the pods' host names are found."""
    network = manifest["spec"].get("network") or {}
    return str(network.get("subdomain") or manifest["metadata"]["name"])


def check_jobset(manifest: JobSetManifest) -> None:
    """Raises ApiError Invalid or Forbidden for what a cluster refuses, RefusedError TIP237 for what has no stand-in.

    Webhooks see the name that the API server has made of ``generateName``; here any will do that is as long.
    """
    _check_types(manifest)
    _check_known(manifest)
    replicated = job_of(manifest)
    _check_job(replicated["template"]["spec"])
    metadata = manifest.get("metadata") or {}
    name = str(metadata.get("name") or "") or generated_name(str(metadata.get("generateName") or ""))
    last = int(replicated["template"]["spec"].get("completions") or 1) - 1
    pod = f"{name}-{replicated.get('name')}-0-{last}-abcde"  # five random letters end a pod's name
    if len(pod) > 63:
        long = "JobSet name is too long, pod names generated for this JobSet will exceed 63 characters"
        raise ApiError(
            "Forbidden", f'{_DENIED}spec.replicatedJobs[0].name: Invalid value: "{pod[:-8]}": {long}'
        )
    if not _LABEL.fullmatch(pod):
        legal = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', and start with a letter"
        raise ApiError(
            "Forbidden", f'{_DENIED}spec.replicatedJobs[0].name: Invalid value: "{pod[:-8]}": {legal}'
        )


def _check_types(manifest: JobSetManifest) -> None:
    for misfit in decode(cast("Json", manifest), table().objects[_TYPE], required=True)[1]:
        name = (
            (manifest.get("metadata") or {}).get("name", "")
            if isinstance(manifest.get("metadata"), dict)
            else ""
        )
        where = ".".join(str(step) for step in misfit.path)
        raise ApiError("Invalid", f'JobSet.jobset.x-k8s.io "{name}" is invalid: {where}: {misfit.message}')


def _check_known(manifest: JobSetManifest) -> None:
    jobs = (manifest.get("spec") or {}).get("replicatedJobs") or []
    if len(jobs) != 1:
        raise _unknown("spec.replicatedJobs", f"one is, and there are {len(jobs)}")
    if (path := _null(manifest["spec"], "spec")) is not None:
        raise _unknown(path, "null is not")
    if "spec" not in jobs[0]["template"]:
        raise _unknown("spec.replicatedJobs[0].template", "one with a spec is")
    for path, known in _KNOWN.items():
        part: object = manifest
        for step in re.findall(r"\w+", path):
            part = (
                part.get(step)
                if isinstance(part, Mapping)
                else part[0]
                if isinstance(part, list) and part
                else None
            )
        for field, value in part.items() if isinstance(part, Mapping) else ():
            only = known.get(field)
            if field not in known or (only is not ... and value is not None and value != only):
                raise _unknown(f"{path}.{field}", "" if field not in known else f"only {only!r} is")


def _null(value: object, path: str) -> str | None:
    """Where a null is, if there is one."""
    if isinstance(value, Mapping):
        found = (_null(each, f"{path}.{key}") for key, each in value.items())
    elif isinstance(value, list):
        found = (_null(each, f"{path}[{index}]") for index, each in enumerate(value))
    else:
        return path if value is None else None
    return next((each for each in found if each is not None), None)


def _check_job(job: JobSpec) -> None:
    workers = job.get("completions")
    if workers is None or workers != job.get("parallelism"):
        raise _unknown("completions", "only as many as run at once (parallelism) are")
    template = job["template"].get("spec") or {}
    policy = template.get("restartPolicy") or "OnFailure"
    if policy not in ("OnFailure", "Never") or (policy != "Never" and "podFailurePolicy" in job):
        raise _unknown(
            "restartPolicy", "the Job controller takes OnFailure or Never, and with podFailurePolicy Never"
        )
    for rule in (job.get("successPolicy") or {}).get("rules") or []:
        if not _INDEXES.fullmatch(rule.get("succeededIndexes", "0")):
            raise _unknown("successPolicy", "succeededIndexes is written as 0,2-4")
    if not template.get("containers"):
        raise _unknown("template.spec.containers", "the Job controller takes a pod with containers")


def _unknown(path: str, why: str) -> RefusedError:
    return RefusedError(
        "TIP237",
        f"JobSet: {path} has no local stand-in" + (f": {why}" if why else ""),
        cause="here a JobSet is one Indexed Job that is started as a whole",
        fix="run it on a cluster, or see what TFJob(kind='JobSet') writes",
    )


def pod_failure(job: JobSpec, code: int) -> str:
    """What becomes of a pod that failed: ``FailJob``, ``Ignore`` or ``Count``.

    Source: Kubernetes, pkg/controller/job/pod_failure_policy.go. Conditions of pods (a drain, a preemption) do not
    occur here.
    """
    for rule in (job.get("podFailurePolicy") or {}).get("rules") or []:
        codes = rule.get("onExitCodes") or {}
        listed = code in (codes.get("values") or [])
        if codes and listed is (codes.get("operator") == "In"):
            return str(rule.get("action"))
    return "Count"


def has_succeeded(job: JobSpec, succeeded: Collection[int]) -> bool:
    """Whether a Job has, whose pods of these indexes have."""
    if len(succeeded) == int(job["completions"]):
        return True
    for rule in (job.get("successPolicy") or {}).get("rules") or []:
        count = int(job["completions"])
        wanted = indexes(rule.get("succeededIndexes", f"0-{count}"), count)
        met = wanted & set(succeeded)
        if len(met) >= int(rule.get("succeededCount") or len(wanted)):
            return True
    return False


def indexes(text: str, count: int) -> set[int]:
    """``0,2-4`` is 0, 2, 3 and 4, as far as there are so many."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), min(int(last or first), count - 1) + 1))
    return found
