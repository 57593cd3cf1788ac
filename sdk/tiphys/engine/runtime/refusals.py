"""What is refused before anything runs: images, volumes and resources that this machine cannot give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from tiphys.argo.answers import ApiError
from tiphys.argo.paths import bad_keys, refusal, refused
from tiphys.argo.spec import containers, every_template, holders, template_kind, written
from tiphys.engine.fields import uses
from tiphys.engine.objects.kinds import check_manifest, find_kind, kind_in_text
from tiphys.engine.objects.route import check_route
from tiphys.engine.pods.volumes import check_volume
from tiphys.engine.runners.images import Images
from tiphys.errors import RefusedError
from tiphys.gang.checks import check_gang

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import KubeObject
    from tiphys.argo.types import GivenObject, ResourceTemplate, Template, Workflow, WorkflowSpec


__all__ = ["check", "check_spec", "unaliased"]


def check(workflow: Workflow, images: Images, context: Sequence[GivenObject] = ()) -> None:
    """Refuse what cannot run here. Raises RefusedError (TIP220 image, TIP223 volume, TIP228 a name or path that no
    pod can have, TIP230 resource kind, and those of :mod:`tiphys.engine.fields`).

    Text that is decided while running (``{{…}}``) is checked then. ``context``: the objects given with it.
    """
    # of templates kept elsewhere only what is used will run: their images are looked up then
    spec: WorkflowSpec = workflow.get("spec") or {}
    check_spec(spec, images, "spec")
    _check_fields(spec, "spec")
    _check_paths(spec, "spec")
    for where, found in _referenced(spec, context):
        _check_fields(found, where)
        _check_paths(found, where)
    for item in context:
        name = str((item.get("metadata") or {}).get("name"))
        for bad in bad_keys(item) if name in _filling(workflow, context) else ():
            raise refusal(bad, f"{item.get('kind')} {name}: {bad[0][0]}")


def _filling(*given: object) -> Iterator[str]:
    """The names of the ConfigMaps and Secrets that fill volumes."""
    for value in given:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                if key in ("configMap", "secret") and isinstance(inner, Mapping):
                    yield str(inner.get("name") or inner.get("secretName"))
                yield from _filling(inner)
        elif isinstance(value, list | tuple):
            yield from _filling(*value)


def _check_paths(spec: WorkflowSpec, where: str) -> None:
    """Refuse names and paths that no pod can have."""
    for found in refused(spec):
        raise refusal(found, f"{where}.{written(found[0])}")


def _check_fields(spec: Mapping[str, object], where: str) -> None:
    """Refuse fields that nothing here can do."""
    for use in uses(spec, where, kind="refused"):
        raise RefusedError(
            use.entry.code,
            f"{use.path} cannot be done on this machine",
            where=use.path,
            cause=use.entry.note,
            fix="leave it out, or run the workflow on a cluster; docs/fields.md lists what has an effect here",
        )


def _referenced(spec: WorkflowSpec, context: Sequence[GivenObject]) -> Iterator[tuple[str, WorkflowSpec]]:
    """The specs that a workflow takes from the WorkflowTemplates given with it: a whole one, or single templates."""
    kept: dict[tuple[str, str], WorkflowSpec] = {
        (str(item.get("kind")), str((item.get("metadata") or {}).get("name"))): item.get("spec") or {}
        for item in context
        if item.get("kind") in ("WorkflowTemplate", "ClusterWorkflowTemplate")
    }
    if not kept:
        return
    seen: set[tuple[str, str, str]] = set()
    look = [*_references(spec)]
    while look:
        kind, name, template = look.pop()
        found = kept.get((kind, name))
        if found is None or (kind, name, template) in seen:
            continue
        seen.add((kind, name, template))
        chosen = [each for each in found.get("templates") or [] if template in ("", each.get("name"))]
        part: WorkflowSpec = found if not template else {"templates": chosen}
        yield f"{kind} {name}: spec", part
        look += _references(part)
        if template:  # a template of a WorkflowTemplate calls its neighbours by name
            look += [
                (kind, name, str(each["template"]))
                for each in holders(part)
                if each.get("template") and not each.get("templateRef")
            ]


def _references(spec: WorkflowSpec) -> Iterator[tuple[str, str, str]]:
    found = [spec.get("workflowTemplateRef"), *(each.get("templateRef") for each in holders(spec))]
    for reference in found:
        if isinstance(reference, Mapping):
            yield template_kind(reference), str(reference.get("name")), str(reference.get("template") or "")


def check_spec(spec: WorkflowSpec, images: Images, where: str) -> None:
    """Check one workflow spec."""
    defaults: Template = spec.get("templateDefaults") or {}
    for volume in spec.get("volumes") or []:
        check_volume(volume, f"{where}.volumes")
    for path, template in every_template(spec.get("templates")):
        _check_leaf(
            template, defaults, images, f"{where}.{written(path)} ({template.get('name') or 'inline'})"
        )


def unaliased(spec: WorkflowSpec, runner: str) -> str:
    """A sentence about ``hostAliases`` that the runner cannot give, or nothing."""
    aliased = spec.get("hostAliases") or any(each.get("hostAliases") for each in spec.get("templates") or ())
    if runner != "process" or not aliased:
        return ""
    return "hostAliases are not known to steps that run as plain processes: use --runner sandbox or docker"


def _check_leaf(template: Template, defaults: Template, images: Images, where: str) -> None:
    for volume in template.get("volumes") or []:
        check_volume(volume, where)
    for _, container in containers(template):
        image = str(container.get("image") or (defaults.get("container") or {}).get("image") or "")
        if image and "{{" not in image:
            images.resolve(image, where=where)
    resource = template.get("resource")
    if resource is not None:
        _check_resource(resource, images, where)


def _check_resource(resource: ResourceTemplate, images: Images, where: str) -> None:
    text = str(resource.get("manifest") or "")
    if not text:
        return
    from tiphys.argo.reader import read_value  # 15 ms, and few runs have a text to read

    word = kind_in_text(text)
    if not word:
        return
    try:
        read = read_value(text)
    except RefusedError:
        read = None
    manifest: KubeObject = cast("KubeObject", read) if isinstance(read, dict) else {"kind": word}
    kind = find_kind(word)
    if kind is None or "{{" not in str(manifest.get("apiVersion", "")):
        check_manifest(manifest, where)
    for container in _pod_containers(manifest):
        image = str(container.get("image") or "")
        if image and "{{" not in image:
            images.resolve(image, where=where)
    if kind is not None and resource.get("action") in ("create", "apply") and "{{" not in text:
        check_route(manifest, where)
        try:
            check_gang(manifest)
        except ApiError as error:
            raise RefusedError("TIP232", f"the {kind.kind} would be refused: {error}", where=where) from error


def _pod_containers(value: object) -> Iterator[Mapping[str, object]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in ("containers", "initContainers") and isinstance(inner, list):
                yield from (each for each in inner if isinstance(each, Mapping))
            else:
                yield from _pod_containers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _pod_containers(inner)
