"""Names that Kubernetes and Argo accept."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from tiphys.argo.display import legal_display_name
from tiphys.compiler.line import Site
from tiphys.errors import DefinitionError, did_you_mean

__all__ = [
    "check_claim_path",
    "check_label",
    "check_label_key",
    "check_mount_path",
    "check_name",
    "check_object_name",
    "check_options",
    "check_title",
    "suggest",
]

_DNS = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
_LABEL_KEY = re.compile(
    r"((?P<prefix>[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)/)?"
    r"(?P<name>[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)"
)
_MOUNT = re.compile(r"(/[\w.-]+)+")
_PARAMETER = re.compile(r"[a-zA-Z0-9_][-a-zA-Z0-9_]*\Z")


def suggest(name: str) -> str:
    """The nearest legal name."""
    return re.sub(r"-+", "-", re.sub(r"[^a-z0-9]+", "-", name.lower())).strip("-") or "name"


def check_name(name: str, what: str, site: Site, *, limit: int = 63) -> str:
    """A DNS label of at most ``limit`` characters, or DefinitionError (TIP101)."""
    if isinstance(name, str) and _DNS.match(name) and len(name) <= limit:
        return name
    too_long = isinstance(name, str) and len(name) > limit
    raise DefinitionError(
        "TIP101",
        f"{name!r} is not a legal name for {what}",
        where=str(site),
        cause=f"it has {len(name)} characters; at most {limit} are allowed"
        if too_long
        else "Kubernetes takes lower-case letters, digits and '-', with a letter or digit at both ends",
        fix=f"for example {suggest(str(name))[:limit].rstrip('-')!r}",
    )


def check_parameter(name: str, what: str, site: Site) -> str:
    """A parameter name that Argo accepts, or DefinitionError (TIP101)."""
    if isinstance(name, str) and _PARAMETER.match(name) and len(name) <= 128:
        return name
    raise DefinitionError(
        "TIP101",
        f"{name!r} is not a legal name for {what}",
        where=str(site),
        cause="Argo takes letters, digits, '-' and '_'",
        fix=f"for example {suggest(str(name))!r}",
    )


def check_label(value: str, what: str, site: Site) -> str:
    """A label value, or DefinitionError (TIP101)."""
    if isinstance(value, str) and re.fullmatch(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", value):
        return value
    raise DefinitionError(
        "TIP101",
        f"{value!r} is not a legal label value for {what}",
        where=str(site),
        cause="a label takes at most 63 letters, digits, '-', '_' and '.', none of the last three at an end",
        fix=f"for example {suggest(str(value))[:63]!r}",
    )


def check_label_key(key: str, what: str, site: Site) -> str:
    """The key of a label, an annotation or a taint, or DefinitionError (TIP101)."""
    if isinstance(key, str) and (match := _LABEL_KEY.fullmatch(key)):
        prefix, name = match["prefix"] or "", match["name"]
        if len(prefix) <= 253 and len(name) <= 63:
            return key
    raise DefinitionError(
        "TIP101",
        f"{key!r} is not a legal key for {what}",
        where=str(site),
        cause="a key is a name of at most 63 letters, digits, '-', '_' and '.', after a domain and '/' if it has one",
        fix=f"for example {suggest(str(key))[:63]!r}, or 'example.com/{suggest(str(key))[:63]}'",
    )


def check_object_name(name: str, what: str, site: Site) -> str:
    """A DNS name of labels, as Kubernetes' objects have it, or DefinitionError (TIP101)."""
    if isinstance(name, str) and len(name) <= 253 and all(_DNS.match(part) for part in name.split(".")):
        return name
    return check_name(name, what, site, limit=253)


def check_mount_path(path: str, what: str, site: Site) -> str:
    """An absolute path that something can be mounted at, or DefinitionError (TIP101)."""
    if isinstance(path, str) and _MOUNT.fullmatch(path) and ".." not in path.split("/"):
        return path
    raise DefinitionError(
        "TIP101",
        f"{path!r} is not a mount path for {what}",
        where=str(site),
        fix="write an absolute path without a '/' at its end, for example '/var/data'",
    )


def check_title(title: str, site: Site) -> str:
    """What a node is called in the Argo UI, or DefinitionError (TIP101): with another name Argo ends it in Error."""
    if legal_display_name(title):
        return title
    raise DefinitionError(
        "TIP101",
        f"the title {title!r} is not a legal display name",
        where=str(site),
        cause="Argo takes 2 to 63 letters, digits, dots and dashes, and ends the step in Error otherwise",
        fix=f"for example {re.sub('[^a-zA-Z0-9.]+', '-', title).strip('-.')[:63] or 'step'!r}",
    )


def check_claim_path(uri: str, what: str, site: Site) -> str:
    """A ``pvc://claim/path`` without a trailing slash, or DefinitionError (TIP101)."""
    match = re.fullmatch(r"pvc://([a-z0-9]([-a-z0-9.]*[a-z0-9])?)(/[^/{}]+)*/?", uri)
    if match and ".." not in uri.split("/"):
        return uri.rstrip("/")
    raise DefinitionError(
        "TIP101",
        f"{uri!r} is not a folder in a volume for {what}",
        where=str(site),
        fix="write pvc://CLAIM/FOLDER, for example 'pvc://tiphys/models'",
    )


def check_options(given: Iterable[str], known: Collection[str], owner: str, site: Site) -> None:
    """Raise DefinitionError TIP103 for an option that ``owner`` does not have."""
    for name in given:
        if name not in known:
            raise DefinitionError(
                "TIP103",
                f"{owner} has no option {name!r}.{did_you_mean(name, known)}",
                where=str(site),
                fix=f"options are: {', '.join(sorted(known))}",
            )
