"""Where and when pods are scheduled: of a whole pipeline, of one step, and of a step that has a GPU."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from tiphys.argo.queue_labels import queue_labels
from tiphys.compiler.line import Site, caller
from tiphys.dsl.names import check_label, check_label_key, check_name
from tiphys.dsl.pod_fields import check_pod
from tiphys.errors import DefinitionError

if TYPE_CHECKING:
    from tiphys.jsontypes import Json, JsonObject

__all__ = ["Scheduling", "Toleration", "borne_together"]

_EFFECTS = ("", "NoSchedule", "PreferNoSchedule", "NoExecute")


@dataclass(frozen=True, slots=True)
class Toleration:
    """A taint that a pod bears: the one with this ``key`` and, if it is given, ``value``.

    ``seconds``: how long it is borne once the node has it (``effect="NoExecute"``). Raises DefinitionError TIP109.
    """

    key: str
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    seconds: int | None = None
    site: Site = field(default_factory=caller, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_label_key(self.key, "a taint", self.site)
        check_label(self.value, "a taint", self.site)
        if self.effect not in _EFFECTS:
            raise DefinitionError(
                "TIP109",
                f"effect={self.effect!r} of the toleration of {self.key!r}",
                where=str(self.site),
                fix='give "NoSchedule", "PreferNoSchedule" or "NoExecute", or leave it out: each of them',
            )
        if self.seconds is not None and (type(self.seconds) is not int or self.effect != "NoExecute"):
            raise DefinitionError(
                "TIP109",
                f"seconds={self.seconds!r} of the toleration of {self.key!r}",
                where=str(self.site),
                cause="only a taint with the effect NoExecute is borne for a time",
                fix='give a whole number and effect="NoExecute", or leave it out',
            )

    def mapping(self) -> JsonObject:
        """As Kubernetes has it."""
        made: JsonObject = {"key": self.key, "operator": "Equal" if self.value else "Exists"}
        if self.value:
            made["value"] = self.value
        if self.effect:
            made["effect"] = self.effect
        if self.seconds is not None:
            made["tolerationSeconds"] = self.seconds
        return made


@dataclass(frozen=True, slots=True)
class Scheduling:
    """Where and when pods are scheduled.

    ``priority`` orders workflows that wait for the same lock or for the controller (higher first); ``queue`` is where
    steps and training jobs wait for their turn: Kueue's LocalQueue, or Volcano's Queue (of a TFJob), whichever of them
    the cluster has. ``workload_class`` is who comes first there: Kueue's WorkloadPriorityClass. ``priority_class`` is
    the pods' PriorityClass: whom a node that is full sends away. They are two: what may wait long, as a night's
    training, may be dear once it runs.

    ``node_selector`` names labels of the nodes (``{"pool": "large"}``), ``tolerations`` their taints (a text is the key
    of one), ``affinity`` is Kubernetes' own.

    Raises DefinitionError: TIP101 for names that Kubernetes refuses, TIP103 for a field that an affinity does not have,
    TIP105 for something else than these, TIP109 for a priority that is no 32-bit number.
    """

    priority: int | None = None
    priority_class: str = ""
    queue: str = ""
    workload_class: str = ""
    node_selector: Mapping[str, str] | tuple[tuple[str, str], ...] = ()
    tolerations: Iterable[Toleration | str] = ()
    affinity: Mapping[str, object] | str = ""
    site: Site = field(default_factory=caller, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.priority_class:
            check_name(self.priority_class, "a priority class", self.site)
        if self.queue:
            check_label(self.queue, "a queue", self.site)
        if self.workload_class:
            check_name(self.workload_class, "a workload class", self.site)
        if self.priority is not None and not (
            type(self.priority) is int and -(2**31) <= self.priority < 2**31
        ):
            raise DefinitionError(
                "TIP109",
                f"priority={self.priority!r}",
                where=str(self.site),
                cause="Argo orders workflows by a whole number of 32 bits",
                fix="give a number, for example 10",
            )
        object.__setattr__(self, "node_selector", self._selector())
        object.__setattr__(self, "tolerations", self._borne())
        if self.affinity and not isinstance(self.affinity, str):
            text = check_pod({"affinity": self.affinity}, "affinity", self.site)
            object.__setattr__(self, "affinity", json.dumps(json.loads(text)["affinity"]))

    def _selector(self) -> tuple[tuple[str, str], ...]:
        given = self.node_selector
        pairs = given.items() if isinstance(given, Mapping) else given
        try:
            found = tuple((key, value) for key, value in pairs)
        except (TypeError, ValueError):
            raise self._another("node_selector", given, '{"pool": "large"}') from None
        for key, value in found:
            if not (isinstance(key, str) and isinstance(value, str)):
                raise self._another("node_selector", given, '{"pool": "large"}: labels are text')
            check_label_key(key, "a node", self.site)
            check_label(value, f"the nodes' label {key!r}", self.site)
        return found

    def _borne(self) -> tuple[Toleration, ...]:
        given = self.tolerations
        if isinstance(given, str | Toleration) or not isinstance(given, Iterable):
            raise self._another("tolerations", given, '[Toleration("nvidia.com/gpu")]')
        made = [Toleration(each, site=self.site) if isinstance(each, str) else each for each in given]
        if not all(isinstance(each, Toleration) for each in made):
            raise self._another("tolerations", given, '[Toleration("nvidia.com/gpu")]')
        return tuple(made)

    def _another(self, name: str, given: object, fix: str) -> DefinitionError:
        return DefinitionError(
            "TIP105", f"Scheduling({name}={given!r})", where=str(self.site), fix=f"write {name}={fix}"
        )

    def over(self, other: Scheduling) -> Scheduling:
        """This one where it says something, ``other`` where it does not; both bear what either bears."""
        own = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        said = {name: value for name, value in own.items() if value not in (None, "", ())}
        borne = tuple(dict.fromkeys((*other.tolerations, *self.tolerations)))
        return dataclasses.replace(other, **{**said, "tolerations": borne, "site": self.site})

    def workflow(self) -> JsonObject:
        """The fields of a workflow's spec."""
        spec: JsonObject = {}
        if self.priority is not None:
            spec["priority"] = self.priority
        if self.priority_class:
            spec["podPriorityClassName"] = self.priority_class
        spec |= self._nodes()
        if labels := self.labels():
            spec["podMetadata"] = {"labels": {**labels}}
        return spec

    def labels(self) -> dict[str, str]:
        """Labels of what Kueue admits: the pods that Argo makes, each for itself, and a job as a whole. (Not those of a
        job's own pods: Kueue would let each of them wait once more.)"""
        return queue_labels(self.queue, self.workload_class)

    def policy(self) -> JsonObject:
        """Fields of a job's runPolicy; the training operator hands them to Volcano, in the gang's PodGroup."""
        named = {"queue": self.queue, "priorityClass": self.priority_class}
        given = {key: value for key, value in named.items() if value}
        return {"schedulingPolicy": {**given}} if given else {}

    def pod(self) -> JsonObject:
        """The fields of a pod's spec, and of a template."""
        spec: JsonObject = {**self._nodes()}
        if self.priority_class:
            spec["priorityClassName"] = self.priority_class
        return spec

    def _nodes(self) -> JsonObject:
        found: JsonObject = {}
        if self.node_selector:
            found["nodeSelector"] = {**dict(self.node_selector)}
        if borne := [each.mapping() for each in self.tolerations if isinstance(each, Toleration)]:
            found["tolerations"] = [*borne]
        if isinstance(self.affinity, str) and self.affinity:
            found["affinity"] = json.loads(self.affinity)
        return found


def borne_together(templates: Iterable[JsonObject], spec: JsonObject, heras: JsonObject) -> None:
    """Add the tolerations that were set through Hera's attribute of the workflow to those of the pipeline and of its
    templates: Argo takes those of a template in place of the workflow's."""
    given = cast("list[Json]", heras.pop("tolerations", None) or [])
    for each in (spec, *templates):
        own = each.get("tolerations")
        if given and (isinstance(own, list) or each is spec):
            own = own if isinstance(own, list) else []
            each["tolerations"] = [*own, *(one for one in given if one not in own)]
