"""Who may use which queue and which class on a cluster, as ValidatingAdmissionPolicies (Kubernetes 1.30 or later).

Two things can be asked, and they hold for different objects:

- of a pod or a job, *in which queue it waits*: the pods of a step are made by Argo's controller, whoever submitted the
  workflow. A class above the highest of the queue's user is refused, however it came there.
- of a Workflow, *who creates it*: its ``spec.priority`` is at most the user's highest, and the labels that it gives to
  its pods name no queue of another user. What hides in a manifest, or behind a workflowTemplateRef, is not seen here:
  whoever shares a namespace can take another's queue that way, and who has one of his own cannot.

Accounts of the system (controllers, the Argo Server) are asked only where they are named as users.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tiphys.argo.queue_labels import CLASS, QUEUE
from tiphys.frozen import frozen
from tiphys.queue.rules import Cluster, Rules

if TYPE_CHECKING:
    from tiphys.jsontypes import Json, JsonObject

__all__ = ["Seat", "policies"]

_API = "admissionregistration.k8s.io/v1"
_ANY = 2**31 - 1  # of a user without a highest: Kubernetes knows no higher priority
# (API group, plural, operations)
_JOBS = [
    (group, kind, ["CREATE", "UPDATE"])
    for group, kind in (
        ("", "pods"),
        ("batch", "jobs"),
        ("kubeflow.org", "tfjobs"),
        ("kubeflow.org", "pytorchjobs"),
        ("jobset.x-k8s.io", "jobsets"),
    )
]
_WORKFLOWS = [
    ("argoproj.io", "workflows", ["CREATE"]),  # later its controller changes it, and whoever stops it
    ("argoproj.io", "cronworkflows", ["CREATE", "UPDATE"]),
]


@frozen
class Seat:
    """A user on the cluster: who he is to Kubernetes, and his LocalQueue."""

    user: str
    account: str
    namespace: str
    queue: str
    highest: int | None


def policies(cluster: Cluster, seats: Sequence[Seat], rules: Rules) -> Iterator[JsonObject]:
    """The policies and their bindings, for the namespaces of all users."""
    spaces = sorted({cluster.namespace, *(seat.namespace for seat in seats)})
    yield from _policy(f"{cluster.cohort}-classes", spaces, _JOBS, _of_jobs(seats, rules))
    yield from _policy(f"{cluster.cohort}-workflows", spaces, _WORKFLOWS, _of_workflows(seats, rules))


def _of_jobs(seats: Sequence[Seat], rules: Rules) -> JsonObject:
    """Pods and what makes them: the class against the queue's user."""
    limited = [seat for seat in seats if seat.highest is not None]
    highest = {_place(seat): seat.highest for seat in limited if seat.highest is not None}
    place = "request.namespace + '/' + variables.queue"
    variables = {
        "queue": _label("object", QUEUE),
        "asked": _label("object", CLASS),
        "user": f"{_map({_place(seat): seat.user for seat in limited})}[?{place}].orValue('')",
        "highest": f"{_map(highest)}[?{place}].orValue({_ANY})",
        "classes": _map(rules.classes),
        # what counts where no class is asked for
        "templates": (
            "request.kind.kind == 'Pod' ? [] : request.kind.kind == 'TFJob' ? "
            "object.spec.tfReplicaSpecs.map(k, object.spec.tfReplicaSpecs[k].template.spec)"
            " : request.kind.kind == 'PyTorchJob' ? "
            "object.spec.pytorchReplicaSpecs.map(k, object.spec.pytorchReplicaSpecs[k].template.spec)"
            " : request.kind.kind == 'JobSet' ? object.spec.replicatedJobs.map(j, j.template.spec.template.spec)"
            " : [object.spec.template.spec]"
        ),
        "unnamed": (
            "request.kind.kind == 'Pod' ? object.spec.?priority.orValue(0)"
            " : variables.templates.exists(t, t.?priorityClassName.orValue('') != '')"
            " || object.spec.?runPolicy.?schedulingPolicy.?priorityClass.orValue('') != ''"
            f" ? {_ANY} : 0"
        ),
    }
    may = "that ' + variables.user + ' may ask for, ' + string(variables.highest)"
    labels = f"['{QUEUE}', '{CLASS}']"
    old = "object.metadata.?labels[?k] != oldObject.metadata.?labels[?k]"
    return {
        # Kueue and the kubelet change what is there, too: they are not asked again
        "matchConditions": [
            {
                "name": "asked-anew",
                "expression": f"request.operation == 'CREATE' || {labels}.exists(k, {old})",
            }
        ],
        "variables": _variables(variables),
        "validations": [
            _must(
                "variables.user == '' || variables.asked == '' || variables.asked in variables.classes",
                "'there is no class ' + variables.asked + ' that ' + variables.user + ' may ask for: "
                f"queue.toml has {', '.join(sorted(rules.classes)) or 'none'}'",
            ),
            _must(
                "!(variables.asked in variables.classes)"
                " || variables.classes[variables.asked] <= variables.highest",
                "'the class ' + variables.asked + ' (priority ' + string(variables.classes[variables.asked])"
                f" + ') is above the highest {may}",
            ),
            _must(
                "variables.asked != '' || variables.unnamed <= variables.highest",
                f"'without a class the priority of the pods counts, and that is above the highest {may}"
                f" + '; name a class by the label {CLASS}'",
            ),
        ],
    }


def _of_workflows(seats: Sequence[Seat], rules: Rules) -> JsonObject:
    """Workflows and CronWorkflows: what the creator asks for himself."""
    limits = {seat.account: _ANY if seat.highest is None else seat.highest for seat in seats}
    others = _ANY if rules.others.highest is None else rules.others.highest
    creator = "request.userInfo.username"
    labels = "variables.spec.?{}.?labels.orValue({{}})"
    variables = {
        "spec": "request.kind.kind == 'CronWorkflow' ? object.spec.workflowSpec : object.spec",
        "highest": f"{_map(limits)}[?{creator}].orValue({others})",
        "classes": _map(rules.classes),
        "owners": _map({_place(seat): seat.account for seat in seats}),
        "labels": (
            f"[{labels.format('podMetadata')}, {labels.format('templateDefaults.?metadata')}]"
            " + variables.spec.?templates.orValue([]).map(t, t.?metadata.?labels.orValue({}))"
        ),
        "high": (
            f"variables.labels.filter(l, l[?'{CLASS}'].orValue('') != '').map(l, l['{CLASS}'])"
            f".filter(c, variables.classes[?c].orValue({_ANY}) > variables.highest)"
        ),
        "foreign": (
            f"variables.labels.filter(l, l[?'{QUEUE}'].orValue('') != '').map(l, l['{QUEUE}'])"
            f".filter(q, variables.owners[?(request.namespace + '/' + q)].orValue({creator}) != {creator})"
        ),
    }
    may = f"that ' + {creator} + ' may ask for, ' + string(variables.highest)"
    named = json.dumps(sorted(limits), ensure_ascii=False)
    return {
        "matchConditions": [
            {"name": "by-a-user", "expression": f"!{creator}.startsWith('system:') || {creator} in {named}"}
        ],
        "variables": _variables(variables),
        "validations": [
            _must(
                "variables.spec.?priority.orValue(0) <= variables.highest",
                f"'the priority ' + string(variables.spec.?priority.orValue(0)) + ' is above the highest {may}",
            ),
            _must(
                "variables.high.size() == 0",
                f"'the class ' + variables.high[0] + (variables.high[0] in variables.classes"
                " ? ' (priority ' + string(variables.classes[variables.high[0]]) + ')' : '')"
                f" + ' is above the highest {may}",
            ),
            _must(
                "variables.foreign.size() == 0",
                f"'the queue ' + variables.foreign[0] + ' is not that of ' + {creator}",
            ),
        ],
    }


def _policy(
    name: str, namespaces: Sequence[str], asked: Sequence[tuple[str, str, list[str]]], spec: JsonObject
) -> Iterator[JsonObject]:
    selector: JsonObject = {
        "key": "kubernetes.io/metadata.name",
        "operator": "In",
        "values": list(namespaces),
    }
    rules: list[Json] = [
        {
            "apiGroups": [group],
            "apiVersions": ["*"],
            "operations": list(operations),
            "resources": [kind],
            "scope": "*",  # the default, said: `kubectl apply` finds nothing to change the next time
        }
        for group, kind, operations in asked
    ]
    yield {
        "apiVersion": _API,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": {"matchExpressions": [selector]},
                "resourceRules": rules,
            },
            **spec,
        },
    }
    yield {
        "apiVersion": _API,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }


def _variables(given: Mapping[str, str]) -> list[Json]:
    return [{"name": name, "expression": expression} for name, expression in given.items()]


def _must(expression: str, said: str) -> JsonObject:
    return {"expression": expression, "messageExpression": said, "reason": "Forbidden"}


def _label(of: str, key: str) -> str:
    return f"{of}.metadata.?labels[?'{key}'].orValue('')"


def _place(seat: Seat) -> str:
    return f"{seat.namespace}/{seat.queue}"


def _map(values: Mapping[str, str] | Mapping[str, int]) -> str:
    """A map as CEL writes it: its strings are JSON's."""
    return json.dumps(dict(sorted(values.items())), ensure_ascii=False)
