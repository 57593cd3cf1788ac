"""What a pod is given beside its container: secrets, a place, volumes, shared memory, and its settings.

One home for every template that runs the author's code.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from tiphys.argo.patch import POD_SPEC, strategic
from tiphys.argo.patch_sum import patch_sum
from tiphys.compiler.line import Site
from tiphys.dsl.pod import Defaults, Volume
from tiphys.dsl.pod_settings import PodSettings, Scratch
from tiphys.dsl.resources import Resources
from tiphys.dsl.scheduling import Scheduling, Toleration
from tiphys.dsl.secrets import Keyed
from tiphys.errors import DefinitionError

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ContainerSpec, VolumeMount
    from tiphys.argo.types import Template
    from tiphys.argo.volume_types import VolumeSpec
    from tiphys.jsontypes import Json, JsonObject

__all__ = ["Equipment"]

_TAKEN = "TIPHYS_"
_MAIN = "main"  # the container of a step's own pod
_NOWHERE = Site("", 0)
_NONE = PodSettings(site=_NOWHERE)


@dataclass(frozen=True, slots=True)
class Equipment:
    """What one pod is given. ``secrets`` are those of its container; ``scheduling`` counts before the pipeline's."""

    secrets: tuple[Keyed, ...] = ()
    scheduling: Scheduling | None = None
    pod: PodSettings | None = None
    resources: Resources = field(default_factory=Resources)

    @property
    def settings(self) -> PodSettings:
        return self.pod or _NONE

    def mounted(self, defaults: Defaults) -> Defaults:
        """The defaults with the volumes that this pod has for its own, too."""
        have = {each.claim for each in defaults.volumes}
        own = [each for each in self.settings.volumes if isinstance(each, Volume) and each.claim not in have]
        return dataclasses.replace(defaults, volumes=(*defaults.volumes, *own)) if own else defaults

    def has(self, path: str) -> bool:
        """Whether a volume of its own is mounted there."""
        return any(each.mount_path == path for each in self.settings.volumes)

    def template(self, template: Template, container: ContainerSpec, defaults: Defaults) -> None:
        """Equip the pod of an Argo template, whose ``container`` has what every container of the pipeline has."""
        settings, own = self.settings, self._place(defaults)
        self._variables(container)
        self._volumes(template, container, {each.claim for each in defaults.volumes})
        if settings.host_aliases:
            template["hostAliases"] = settings.aliases()
        if own.pod():  # what a template says stands in place of what the workflow says
            template.update(cast("Template", own.over(defaults.scheduling).pod()))
        _add(template, "labels", {**own.labels(), **dict(settings.labels)})
        _add(template, "annotations", dict(settings.annotations))
        if settings.service_account:
            template["serviceAccountName"] = settings.service_account

    def job_pod(self, pod: JsonObject, container: JsonObject, defaults: Defaults) -> JsonObject:
        """The pod template of an object, equipped; ``container`` is its only one, which a patch may call ``main``. The
        labels of a queue are the object's, not its pods'."""
        settings, spec = self.settings, cast("JsonObject", pod["spec"])
        given = cast("ContainerSpec", container)
        self._variables(given)
        self._volumes(cast("Template", spec), given, {each.claim for each in defaults.volumes})
        spec |= self._place(defaults).over(defaults.scheduling).pod()
        if settings.host_aliases:
            spec["hostAliases"] = cast("list[Json]", settings.aliases())
        spec["containers"] = [container]
        if settings.patch:
            patch = json.loads(str(settings.patch))
            for each in patch.get("containers", ()):
                if each.get("name") == _MAIN:
                    each["name"] = container["name"]
            spec = strategic(spec, patch, POD_SPEC)
            boxes = cast(
                "list[JsonObject]", spec["containers"]
            )  # a patch puts its own before; operators look at the first
            spec["containers"] = [*sorted(boxes, key=lambda each: each["name"] != container["name"])]
        made = cast("Template", {"metadata": pod["metadata"]})
        _add(made, "labels", dict(settings.labels))
        _add(made, "annotations", dict(settings.annotations))
        return cast("JsonObject", {**made, "spec": spec})

    def patch(self, text: str) -> str:
        """``podSpecPatch`` with what the author wrote into it."""
        if not self.settings.patch:
            return text
        made = patch_sum(json.loads(text), json.loads(str(self.settings.patch)), POD_SPEC)
        return json.dumps(made, separators=(",", ":"))

    # -- inside ------------------------------------------------------------------------------------------------------

    def _variables(self, container: ContainerSpec) -> None:
        env = container.setdefault("env", [])
        names = {each["name"] for each in env}
        for each in self.secrets:
            variable = each.variable()
            if variable is None:
                continue
            if variable["name"] in names or variable["name"].startswith(_TAKEN):
                raise _twice(f"the variable {variable['name']}", each.site)
            names.add(variable["name"])
            env.append(variable)
        if groups := [each.variables() for each in self.secrets if each.whole]:
            container["envFrom"] = groups

    def _volumes(self, pod: Template, container: ContainerSpec, have: set[str]) -> None:
        """``have``: the claims that the workflow declares."""
        volumes, mounts = [*(pod.get("volumes") or [])], [*(container.get("volumeMounts") or [])]
        taken = {each["mountPath"] for each in mounts}
        for volume, mount, site in self._own():
            if volume["name"] not in have and volume not in volumes:
                volumes.append(volume)
            if mount["mountPath"] in taken:
                raise _twice(f"the path {mount['mountPath']}", site)
            taken.add(mount["mountPath"])
            mounts.append(mount)
        if volumes:
            pod["volumes"] = volumes
        if mounts:
            container["volumeMounts"] = mounts

    def _own(self) -> Iterator[tuple[VolumeSpec, VolumeMount, Site]]:
        """Volumes and their mounts."""
        for at, each in enumerate(self.settings.volumes, 1):
            if isinstance(each, Scratch):
                name = f"tiphys-scratch-{at}"
                yield each.volume(name), each.mount(name), each.site
            else:
                yield cast("VolumeSpec", each.volume()), cast("VolumeMount", each.mount()), each.site
        for at, secret in enumerate(self.secrets, 1):
            if secret.mount:
                mount: VolumeMount = {
                    "name": f"tiphys-keys-{at}",
                    "mountPath": secret.mount,
                    "readOnly": True,
                }
                yield secret.volume(mount["name"]), mount, secret.site
        if (shared := self.resources.shared_memory()) is not None:
            yield shared[0], shared[1], self.resources.site

    def _place(self, defaults: Defaults) -> Scheduling:
        """Where the pod goes that does not go where the pipeline's other pods go."""
        own = self.scheduling or Scheduling(site=_NOWHERE)
        if not self.resources.gpu:
            return own
        taint = Toleration(self.resources.gpu_resource, effect="NoSchedule", site=_NOWHERE)
        nodes = defaults.gpu_nodes or Scheduling(site=_NOWHERE)
        return own.over(nodes.over(Scheduling(tolerations=(taint,), site=_NOWHERE)))


def _add(pod: Template, field: Literal["labels", "annotations"], given: dict[str, str]) -> None:
    if given:
        metadata = pod.setdefault("metadata", {})
        metadata[field] = {**(metadata.get(field) or {}), **given}


def _twice(what: str, site: Site) -> DefinitionError:
    return DefinitionError(
        "TIP102",
        f"a step has {what} twice",
        where=str(site),
        cause="an option, a volume of the pipeline or Tiphys gives it already",
        fix="give it another name or path",
    )
