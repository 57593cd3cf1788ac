"""What the template of a step has whatever runs in it: a component's function, or a container of somebody else's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from tiphys.argo.display import DISPLAY_NAME
from tiphys.compiler.line import Site
from tiphys.dsl.component_options import ComponentOptions
from tiphys.dsl.durations import go_duration
from tiphys.dsl.locks import Lock, synchronization
from tiphys.dsl.pod import Defaults, executor_patch, secured

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ContainerSpec
    from tiphys.argo.types import Template
    from tiphys.dsl.types import Field

__all__ = ["begun", "finish"]

_ARTIFACTS = "artifacts"
_EGRESS = "egress.tiphys.dev/"  # the label that a network policy of this name selects


def begun(name: str, options: ComponentOptions, fields: Iterable[Field] = ()) -> Template:
    """What a template begins with: its name and what the Argo UI and network policies know it by. ``fields``: its
    inputs and outputs; where one is a file, the step's pod reaches the artifact repository."""
    template: Template = {"name": name}
    if options.title:
        template["annotations"] = {DISPLAY_NAME: options.title}
    egress = [*options.egress, *([_ARTIFACTS] if any(f.is_file for f in fields) else [])]
    if egress:
        template["metadata"] = {"labels": {f"{_EGRESS}{each}": "true" for each in egress}}
    return template


def finish(
    template: Template,
    place: Literal["container", "script"],
    container: ContainerSpec,
    options: ComponentOptions,
    defaults: Defaults,
    *,
    locks: list[Lock],
    mutexes: list[str],
    site: Site,
) -> None:
    """Add locks, time, attempts, and the pod: ``container``, which is the template's ``place``, with what is safe and
    what the options give it. Raises DefinitionError TIP102 for a variable or a path that is there twice."""
    whole: Any = template
    if held := synchronization(locks, mutexes):
        whole["synchronization"] = held
    if options.timeout is not None:
        whole["timeout"] = go_duration(options.timeout, "timeout", site)
    again = options.on_failure or options.retry
    if again is not None and (strategy := again.strategy()) is not None:
        whole["retryStrategy"] = strategy
    box: Any = container
    equipment = options.equipment
    box["resources"] = options.resources.mapping()
    secured(box, whole, defaults.volumes, read_only=options.read_only_root, own_tmp=equipment.has("/tmp"))
    equipment.template(template, container, defaults)
    whole[place] = container
    patch = executor_patch(resource=False, token=equipment.settings.token)
    if options.on_failure is not None:
        patch = options.on_failure.patch(options.resources, patch)
    whole["podSpecPatch"] = equipment.patch(patch)
