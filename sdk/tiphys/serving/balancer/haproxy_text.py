"""What HAProxy is to do, in its own words (HAProxy Configuration Manual, 2.6)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from tiphys.errors import ServingError
from tiphys.net.message import error_body
from tiphys.serving.balancer.core import SAFE_CALLS, SAFE_METHODS
from tiphys.serving.balancer.pin import OPEN_VERBS, VERBS, labelled_places

if TYPE_CHECKING:
    from tiphys.serving.balancer.core import Settings

__all__ = ["BACKENDS", "POLICIES", "SLOTS", "UNNAMED", "configuration"]

BACKENDS = ("a", "b", "c")
"""Each has all replicas and names a version of its own, so that what is on its way of a version is counted."""
SLOTS = 64
UNNAMED = "-"
POLICIES = {"round-robin": "roundrobin", "least-request": "random(2)"}
_LARGE = 16384  # bytes of a body: more is not kept until the answer has come
_BUFFER = 32768  # for a body and its headers


def configuration(
    *,
    model: str,
    policy: str,
    listener: int,
    whole: str,
    names: Path,
    control: Path,
    health_path: str | None,
    certificate: Path | None,
    settings: Settings,
) -> str:
    """The text of its file. ``listener``: the descriptor of a socket that listens; ``whole``: the address of the
    balancer that holds requests whole; ``names``: the map of which backend is asked, and which version each one names.
    Raises ServingError TIP511 for a policy that it has not."""
    if policy not in POLICIES:
        raise ServingError(
            "TIP511",
            f"HAProxy does not balance by {policy!r} as the built-in balancer does.",
            fix=f"Use one of: {', '.join(POLICIES)}; or the built-in driver.",
        )
    limits = settings.limits
    tls = f" ssl crt {_word(str(certificate))} ssl-min-ver TLSv1.2 alpn http/1.1" if certificate else ""
    lines = [
        "global",
        "  nbthread 1",  # the cores are the replicas'
        f"  maxconn {limits.connections}",
        "  hard-stop-after 30s",
        f"  tune.bufsize {_BUFFER + limits.header_bytes}",
        f"  stats socket {_word(str(control))} mode 600 level admin",
        "defaults",
        "  mode http",
        "  timeout connect 2s",
        f"  timeout client {_ms(limits.write_timeout)}",
        f"  timeout server {_ms(settings.timeout)}",
        f"  timeout http-request {_ms(limits.header_timeout)}",
        f"  timeout http-keep-alive {_ms(limits.idle_timeout)}",
        f"  retries {settings.attempts - 1}",
        "  option redispatch 1",
        "  option forwardfor",
        *(f"  {_error(status, text)}" for status, text in _ERRORS.items()),
        "frontend front",
        f"  bind fd@{listener}{tls}",
        "  stick-table type ipv6 size 100k expire 10m store conn_cur",
        "  tcp-request connection track-sc0 src",
        f"  tcp-request connection reject if {{ sc0_conn_cur gt {int(limits.connections * limits.client_share)} }}",
    ]
    if token := settings.guard.token:
        body = _word(error_body("a token is needed: Authorization: Bearer TOKEN").decode())
        lines += [
            f"  http-request return status 401 content-type application/json string {body} hdr WWW-Authenticate Bearer"
            f" unless {{ http_auth_bearer -m str -- {_word(token)} }}"
        ]
    lines += [
        f"  acl repeatable method {' '.join(sorted(SAFE_METHODS))}",
        f"  acl repeatable path_end -i {' '.join(SAFE_CALLS)}",
        f"  acl large req.body_size gt {_LARGE}",
        "  acl large req.hdr(transfer-encoding) -m found",
        # what is sent again must be there whole when it is sent first
        f"  http-request wait-for-body time {_ms(limits.body_grace)} if !large repeatable",
        "  use_backend whole if large or !repeatable",
        f"  use_backend %[str(now),map_str({names},{BACKENDS[0]})]",
        "backend whole",
        f"  server whole {whole}",
    ]
    for backend in BACKENDS:
        lines += [
            f"backend {backend}",
            f"  balance {POLICIES[policy]}",
            "  retry-on conn-failure empty-response",
            *_renamed(model, backend, names),
            f"  server whole {whole} backup",
            *(
                [f"  option httpchk GET {_word(health_path)}", "  http-check expect status 200"]
                if health_path
                else []
            ),
            f"  timeout check {_ms(settings.health_timeout)}",
            f"  default-server check inter {_ms(settings.health_interval)} fall 2 rise 1 "
            "observe layer7 error-limit 5 on-error mark-down disabled",
            f"  server-template r 1-{SLOTS} 127.0.0.1:9",
        ]
    return "\n".join(lines) + "\n"


_ERRORS = {
    400: "Malformed request",
    408: "The request did not come in time",
    502: "The replica broke off",
    503: "No endpoint available",
    504: "No answer in time",
}


def _error(status: int, text: str) -> str:
    return (
        f"http-error status {status} content-type application/json string {_word(error_body(text).decode())}"
    )


def _renamed(model: str, backend: str, names: Path) -> list[str]:
    """Rules that put what a backend names into paths, as :meth:`VersionPin.target` does. ``names`` has it."""
    both = sorted({model, quote(model, safe="")})
    written = [each for each in both if each.isascii() and each.isprintable()]
    name = "|".join(map(re.escape, written))
    v1, v2 = f"/v1/models/(?:{name})", f"/v2/models/(?:{name})"
    lines = []
    for key, slash, places in (
        ("ending", "", labelled_places(written)),
        ("place", "/", [(v1, "|".join(VERBS))]),
        ("open", "/", [(v2, "|".join(OPEN_VERBS))]),
    ):
        value = f"str({backend}.{key}),map_str({names},{UNNAMED})"
        lines.append(f"  acl no_{key} {value} -m str -- {UNNAMED}")
        for place, verbs in places:
            fresh = f"\\1{slash}%[{value}]\\2"
            lines.append(
                f"  http-request replace-path {_word(f'^({place})({verbs})$')} {_word(fresh)} unless no_{key}"
            )
    return lines


def _ms(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"


def _word(text: str) -> str:
    """One word of its language, whatever is in it: nothing is special between single quotes but the line's end."""
    return "'" + text.replace("'", "'\"'\"'").replace("\n", "'\"\\n\"'") + "'"
