"""What a cluster answers, turned into a ClusterError that says why and what to do.

TIP601 unreachable          TIP602 log-in refused (401)    TIP603 forbidden (403), naming the missing right
TIP604 not the expected API TIP605 not found (404)         TIP606 exists already or changed meanwhile (409)
TIP607 refused as invalid   TIP608 the server failed (5xx) TIP609 the server is too old
TIP610 configuration        TIP611 not possible this way   TIP612 not possible in the workflow's phase
TIP620 the wait timed out   TIP621 the workflow was deleted while it was watched
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from tiphys.errors import ClusterError, did_you_mean
from tiphys.lazy import regex

__all__ = ["WaitTimeout", "from_answer", "message_of", "not_found", "unreachable"]


class WaitTimeout(ClusterError):
    """``wait`` or ``watch`` ended before the workflow did; ``phase`` is where it stood."""

    def __init__(self, message: str, *, phase: str = "", cause: str = "", fix: str = "") -> None:
        super().__init__("TIP620", message, cause=cause, fix=fix)
        self.phase = phase

    def __reduce__(self) -> tuple[object, ...]:
        return _timeout, (self.message, self.phase, self.cause, self.fix)


def _timeout(message: str, phase: str, cause: str, fix: str) -> WaitTimeout:
    return WaitTimeout(message, phase=phase, cause=cause, fix=fix)


def unreachable(url: str, error: Exception) -> ClusterError:
    """The error of a connection that could not be made or broke."""
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text or "SSLError" in type(error).__name__:
        if "WRONG_VERSION_NUMBER" in text:
            return ClusterError(
                "TIP601",
                f"{url} does not speak TLS",
                where=url,
                fix="use http:// (or ARGO_SECURE=false)",
            )
        return ClusterError(
            "TIP601",
            f"the certificate of {url} is not trusted",
            where=url,
            cause=_short(text),
            fix="give the CA bundle (--ca-file), or --insecure for a test server",
        )
    if "refused" in text:
        cause = "the connection was refused: nothing listens there"
    elif "Name or service not known" in text or "resolve" in text.lower():
        cause = "the host name is not known"
    elif "timed out" in text.lower():
        cause = "no answer in time"
    else:
        cause = _short(text)
    return ClusterError(
        "TIP601",
        f"cannot reach {url}",
        where=url,
        cause=cause,
        fix="check the address (--server, ARGO_SERVER, --kubeconfig, KUBECONFIG) and that the server runs",
    )


def _short(text: str) -> str:
    """The last, telling part of a nested exception's text."""
    inner = re.findall(r"(?:Error|Exception)\(?['\"(:]? *([^()'\"]{8,})", text)
    return (inner[-1] if inner else text).strip()[:300]


def message_of(text: str) -> str:
    """The message in an error answer of the Argo Server or of Kubernetes."""
    try:
        value = json.loads(text)
    except ValueError:
        return text.strip()[:500]
    if isinstance(value, dict):
        inner = value.get("error")
        if isinstance(inner, dict):  # an error in the middle of a stream
            value = inner
        return str(value.get("message") or value.get("error") or text)[:2000]
    return text[:500]


_FORBIDDEN = regex(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)"'
    r' in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?'
)


def not_found(kind: str, name: str, namespace: str, known: Iterable[str] = ()) -> ClusterError:
    """404 for something that was asked for by name."""
    known = list(known)
    fix = f"list what is there: tiphys list -n {namespace}"
    return ClusterError(
        "TIP605",
        f"there is no {kind} {name!r} in namespace {namespace!r}.{did_you_mean(name, known)}",
        cause="it was deleted (by hand or by its ttlStrategy), or it is in another namespace",
        fix=fix,
    )


def from_answer(status: int, text: str, what: str, where: str) -> ClusterError:
    """The error for an answer with ``status`` when ``what`` was tried at ``where``."""
    message = message_of(text)
    if status == 401:
        return ClusterError(
            "TIP602",
            f"{what}: the log-in was refused",
            where=where,
            cause=message,
            fix="set ARGO_TOKEN to a valid token (`argo auth token`), or log in to the cluster again",
        )
    if status == 403:
        found = _FORBIDDEN.search(message)
        if found:
            resource = found["resource"] + (f".{found['group']}" if found["group"] else "")
            return ClusterError(
                "TIP603",
                f"{what}: not allowed to {found['verb']} {resource}",
                where=where,
                cause=f"{found['user'] or 'this user'} lacks the verb {found['verb']!r} on {resource}"
                + (f" in namespace {found['namespace']!r}" if found["namespace"] else ""),
                fix=f"ask for a Role with apiGroups [{found['group']!r}], resources [{found['resource']!r}], "
                f"verbs [{found['verb']!r}] (manifests/base/accounts.yaml has those of Tiphys)",
            )
        quota = "exceeded quota" in message
        return ClusterError(
            "TIP603",
            f"{what}: forbidden",
            where=where,
            cause=message,
            fix="wait for other runs to end, or ask for a larger ResourceQuota"
            if quota
            else "ask the administrator for this right, or use another account",
        )
    if status == 404:
        if (
            "page not found" in message
            or "Not Found" in message
            or "could not find the requested resource" in message
        ):
            return ClusterError(
                "TIP609",
                f"{what}: the server does not have this API",
                where=where,
                cause=message,
                fix="it needs Argo Workflows 3.7 or later; check the address and ARGO_BASE_HREF",
            )
        return ClusterError(
            "TIP605", f"{what}: not found", where=where, cause=message, fix="check the name and the namespace"
        )
    if status == 409:
        return ClusterError(
            "TIP606",
            f"{what}: it exists already, or was changed meanwhile",
            where=where,
            cause=message,
            fix="use another name, or try again",
        )
    if status in (400, 412, 422):
        return ClusterError(
            "TIP607",
            f"{what}: refused as invalid",
            where=where,
            cause=message,
            fix="run `tiphys lint` on it: it names the line and the fix",
        )
    if status in (301, 302, 303, 307, 308):
        return ClusterError(
            "TIP604",
            f"{what}: the server redirects elsewhere",
            where=where,
            fix="use https:// if it wants TLS; log in to a proxy in front of it; check ARGO_BASE_HREF",
        )
    if status == 501:
        return ClusterError(
            "TIP609",
            f"{what}: this server does not have it",
            where=where,
            cause=message,
            fix="Argo Workflows 3.7 or later is needed",
        )
    if status == 429 or status >= 500:
        return ClusterError(
            "TIP608",
            f"{what}: the server failed (HTTP {status})",
            where=where,
            cause=message,
            fix="try again; look at the log of the Argo Server or of the Kubernetes API if it stays so",
        )
    return ClusterError("TIP604", f"{what}: unexpected answer (HTTP {status})", where=where, cause=message)
