"""What containers ask for and may use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tiphys.argo.quantity import quantity
from tiphys.lint.manifests import resource_objects
from tiphys.lint.model import TemplateView
from tiphys.lint.registry import Issue, rule

__all__: list[str] = []


@rule(
    "L370",
    "request-above-limit",
    "error",
    what="A container that requests more of a resource than its limit, or other than the limit of one that cannot be "
    "shared, such as a GPU.",
    why="Kubernetes refuses the pod (`must be less than or equal to cpu limit`): the step ends with Error.",
    source="Kubernetes 1.33, pkg/apis/core/validation (ValidateResourceRequirements)",
    scope="template",
    needs="requests",
)
def request_above_limit(template: TemplateView) -> Iterator[Issue]:
    for path, container in template.containers():
        for name, words, fix in _faults(container):
            yield Issue((*path, "resources", "requests", name), f"{template.label}: {words}", fix=fix)
    if template.type == "Resource":
        for manifest in resource_objects(template):
            for path, container in manifest.containers():
                for name, words, fix in _faults(container):
                    place = (*path, "resources", "requests", name)
                    if not manifest.templated(*place):
                        yield manifest.issue(place, f"{manifest.label}: {words}", fix=fix)


def _faults(container: Mapping[str, object]) -> Iterator[tuple[str, str, str]]:
    """The resource, what is wrong, and how to mend it."""
    resources = container.get("resources")
    resources = resources if isinstance(resources, dict) else {}
    requests, limits = (resources.get(key) for key in ("requests", "limits"))
    limits = limits if isinstance(limits, dict) else {}
    for name, asked in requests.items() if isinstance(requests, dict) else ():
        shared = "/" not in name or "kubernetes.io/" in name
        shared = shared and not name.startswith("hugepages-")
        if name not in limits:
            if not shared:
                yield name, f"{name} is requested without a limit", f"set limits.{name} to the same"
            continue
        try:
            request, limit = quantity(asked), quantity(limits[name])
        except ValueError:
            continue  # a tag, or what another rule tells
        if request > limit:
            words = f"the request of {asked} is more than the {name} limit of {limits[name]}"
            yield name, words, f"raise limits.{name}, or lower the request"
        elif request != limit and not shared:
            words = f"the request of {asked} is not the {name} limit of {limits[name]}"
            yield name, words, f"set requests.{name} and limits.{name} to the same"
