"""Names that Kubernetes and Argo accept."""

from __future__ import annotations

import re

from tiphys.compiler.line import Site
from tiphys.errors import DefinitionError

__all__ = ["check_claim_path", "check_label", "check_name", "check_title", "suggest"]

_DNS = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
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
    if re.fullmatch(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", value):
        return value
    raise DefinitionError(
        "TIP101",
        f"{value!r} is not a legal label value for {what}",
        where=str(site),
        cause="a label takes at most 63 letters, digits, '-', '_' and '.', none of the last three at an end",
        fix=f"for example {suggest(value)[:63]!r}",
    )


def check_title(title: str, site: Site) -> str:
    """What a node is called in the Argo UI, or DefinitionError (TIP101): with another name Argo ends it in Error."""
    if re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9-.]{0,61}[a-zA-Z0-9]", title):
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
