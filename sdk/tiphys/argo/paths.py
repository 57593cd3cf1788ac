"""The names and paths of a pod that become places on a disk, and which of them Kubernetes refuses.

The words are those of the API server, without the field that they are about. What it accepts is not refused here:
``mountPath``, ``workingDir`` and the path of an artifact may hold ``..``, which a container takes from its own ``/``.
Sources: k8s.io/kubernetes, pkg/apis/core/validation/validation.go; k8s.io/apimachinery, pkg/util/validation; a NUL in
any text of a container is refused when the kernel is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from tiphys.argo.spec import Path, containers, every_template, written
from tiphys.errors import RefusedError
from tiphys.lazy import regex

__all__ = [
    "bad_keys",
    "host_problem",
    "key_problem",
    "label_problem",
    "local_problem",
    "refusal",
    "refused",
    "refused_container",
    "subpath_problem",
    "variable_problem",
]

Check: TypeAlias = Callable[[str], str]
Found: TypeAlias = tuple[Path, str, str]  # where, what stands there, what is wrong

_LABEL = regex(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_KEY = regex(r"[-._a-zA-Z0-9]+")
_VARIABLE = regex(r"[ -<>-~]+")  # printable ASCII but "="
_NOT_A_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_NOT_A_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_NOT_A_VARIABLE = (
    "a valid environment variable name must consist only of printable ASCII characters other than '='"
)


def label_problem(name: str) -> str:
    """What is wrong with the name of a container or a volume; an empty string when nothing is."""
    if len(name) > 63:
        return "must be no more than 63 bytes"
    return "" if _LABEL.fullmatch(name) else _NOT_A_LABEL


def key_problem(key: str) -> str:
    """What is wrong with a key of a ConfigMap or a Secret."""
    if len(key) > 253:
        return "must be no more than 253 characters"
    if not _KEY.fullmatch(key):
        return _NOT_A_KEY
    if key in (".", ".."):
        return f"must not be '{key}'"
    return "must not start with '..'" if key.startswith("..") else ""


def local_problem(path: str) -> str:
    """What is wrong with the path of a file in a volume that is filled (``items[].path``)."""
    if not path:
        return "Required value"
    return subpath_problem(path) or ("must not start with '..'" if path.startswith("..") else "")


def subpath_problem(path: str) -> str:
    """What is wrong with the ``subPath`` of a mount."""
    if path.startswith("/"):
        return "must be a relative path"
    return _backsteps(path) or _nul(path)


def _backsteps(path: str) -> str:
    return "must not contain '..'" if ".." in path.split("/") else ""


def host_problem(path: str) -> str:
    """What is wrong with the path of a ``hostPath``."""
    return "Required value" if not path else _backsteps(path) or _nul(path)


def variable_problem(name: str) -> str:
    """What is wrong with the name of an environment variable."""
    return "" if _VARIABLE.fullmatch(name) else _NOT_A_VARIABLE


def _nul(text: str) -> str:
    return "must not contain a NUL" if "\0" in text else ""


def refusal(found: Found, where: str = "") -> RefusedError:
    """The error (TIP228) for one that :func:`refused` found. ``where``: its place, if not its path in the spec."""
    path, value, problem = found
    return RefusedError(
        "TIP228",
        f"no pod can have {path[-1]} {value!r}: {problem}",
        where=where or written(path),
        cause="the API server or the kubelet refuses the pod on a cluster, too",
        fix="write a name or path that Kubernetes takes",
    )


def bad_keys(item: Mapping[str, object]) -> Iterator[Found]:
    """The keys of a ConfigMap or a Secret for which the API server refuses it."""
    if item.get("kind") in ("ConfigMap", "Secret"):
        for field in ("data", "binaryData", "stringData"):
            data = item.get(field)
            for key in data if isinstance(data, Mapping) else ():
                if problem := key_problem(str(key)):
                    yield (field, "key"), str(key), problem


def refused(spec: Mapping[str, object]) -> Iterator[Found]:
    """Every name and path of a workflow's spec that its pods could not have: where it stands, what it is, what is
    wrong. What holds a tag (``{{…}}``) is known when the pod is made; a template by itself is ``{"templates": [it]}``.
    """
    yield from _volumes(spec, ())
    for path, template in [*_defaults(spec), *every_template(spec.get("templates"))]:
        yield from _volumes(template, path)
        for below, container in containers(template):
            # Argo gives the main container its name, and sets another aside
            named = below[0] not in ("container", "script")
            yield from refused_container(container, (*path, *below), named=named)
        for side in ("inputs", "outputs"):
            for place, item in _list((template.get(side) or {}), "artifacts"):
                yield from _look(item, "path", _nul, (*path, side, "artifacts", place))
            for place, item in _list((template.get(side) or {}), "parameters"):
                source = item.get("valueFrom")
                if isinstance(source, Mapping):
                    yield from _look(source, "path", _nul, (*path, side, "parameters", place, "valueFrom"))


def _defaults(spec: Mapping[str, object]) -> Iterator[tuple[Path, Mapping[str, object]]]:
    found = spec.get("templateDefaults")
    if isinstance(found, Mapping):
        yield ("templateDefaults",), found


def refused_container(container: Mapping[str, object], path: Path, *, named: bool = True) -> Iterator[Found]:
    """As :func:`refused`, of one container that stands at ``path``."""
    if named:
        yield from _look(container, "name", label_problem, path)
    yield from _look(container, "workingDir", _nul, path)
    for place, variable in _list(container, "env"):
        yield from _look(variable, "name", variable_problem, (*path, "env", place))
    for place, mount in _list(container, "volumeMounts"):
        at = (*path, "volumeMounts", place)
        yield from _look(mount, "name", label_problem, at)
        yield from _look(mount, "mountPath", _nul, at)
        if mount.get("subPath"):
            yield from _look(mount, "subPath", subpath_problem, at)
        if mount.get("subPathExpr"):
            yield from _look(mount, "subPathExpr", subpath_problem, at)


def _volumes(holder: Mapping[str, object], path: Path) -> Iterator[Found]:
    for place, volume in _list(holder, "volumes"):
        at = (*path, "volumes", place)
        yield from _look(volume, "name", label_problem, at)
        for kind, source in volume.items():
            if not isinstance(source, Mapping):
                continue
            if kind == "hostPath":
                yield from _look(source, "path", host_problem, (*at, kind))
            yield from _items(source, (*at, kind))
            for inner, part in _list(source, "sources"):
                for name, projected in part.items():
                    if isinstance(projected, Mapping):
                        below = (*at, kind, "sources", inner, name)
                        yield from _items(projected, below)
                        if "path" in projected:
                            yield from _look(projected, "path", local_problem, below)


def _items(source: Mapping[str, object], path: Path) -> Iterator[Found]:
    for place, item in _list(source, "items"):
        yield from _look(item, "path", local_problem, (*path, "items", place))


def _look(holder: Mapping[str, object], field: str, check: Check, path: Path) -> Iterator[Found]:
    value = holder.get(field)
    if isinstance(value, str) and "{{" not in value and (problem := check(value)):
        yield (*path, field), value, problem


def _list(holder: object, field: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    found = holder.get(field) if isinstance(holder, Mapping) else None
    for place, item in enumerate(found if isinstance(found, list) else ()):
        if isinstance(item, Mapping):
            yield place, item
