"""What HAProxy is to do, in its own words (HAProxy Configuration Manual, 2.6)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.errors import ServingError
from tiphys.net.message import error_body
from tiphys.serving.balancer.driven import BACKENDS, ERRORS, LARGE, whole_of
from tiphys.serving.balancer.pin import OPEN_VERBS, VERBS, in_ascii, labelled_places, written_names
from tiphys.serving.balancer.repeatable import SAFE_ENDS, SAFE_METHODS, SAFE_RPCS
from tiphys.serving.guard import NO_TOKEN
from tiphys.serving.model.servable import Code
from tiphys.serving.rpc.frames import CONTENT_TYPE, PIN_HEADER

if TYPE_CHECKING:
    from tiphys.serving.balancer.core import Settings

__all__ = ["FRONTENDS", "POLICIES", "SLOTS", "UNNAMED", "configuration"]

FRONTENDS = ("front", "calls")
SLOTS = 64
UNNAMED = "-"
POLICIES = {"round-robin": "roundrobin", "least-request": "random(2)"}
_BUFFER = 32768  # for a body and its headers


def configuration(
    *,
    model: str,
    policy: str,
    listener: int,
    calls: int | None,
    whole: str,
    names: Path,
    control: Path,
    health_path: str | None,
    certificate: Path | None,
    settings: Settings,
) -> str:
    """The text of its file. ``listener`` and ``calls``: the descriptors of sockets that listen, for HTTP and for gRPC;
    ``whole``: the address of the balancer that holds requests whole; ``names``: the map of which backend is asked, and
    which version each one names. Raises ServingError TIP511 for a policy that it has not."""
    if policy not in POLICIES:
        raise ServingError(
            "TIP511",
            f"HAProxy does not balance by {policy!r} as the built-in balancer does.",
            fix=f"Use one of: {', '.join(POLICIES)}; or the built-in driver.",
        )
    limits = settings.limits
    tls = f" ssl crt {_word(str(certificate))} ssl-min-ver TLSv1.2 alpn " if certificate else ""
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
        *(f"  {_error(status, text)}" for status, text in ERRORS.items()),
    ]
    body = _word(error_body(NO_TOKEN).decode())
    lines += _frontend(
        FRONTENDS[0],
        f"fd@{listener}{tls}{'http/1.1' if tls else ''}",
        settings,
        names,
        refused=f"status 401 content-type application/json string {body} hdr WWW-Authenticate Bearer",
        special=[
            f"  acl repeatable method {' '.join(sorted(SAFE_METHODS))}",
            f"  acl repeatable path_end -i {' '.join(SAFE_ENDS)}",
            "  acl large req.hdr(transfer-encoding) -m found",
        ],
    )
    if calls is not None:
        lines += _frontend(
            FRONTENDS[1],
            f"fd@{calls}{tls}{'h2' if tls else ''} proto h2",
            settings,
            names,
            refused=_refused(Code.UNAUTHENTICATED, NO_TOKEN),
            special=[
                "  http-request return status 415 content-type text/plain string 'gRPC is spoken here' "
                f"unless {{ req.hdr(content-type) -m beg {CONTENT_TYPE} }}",
                f"  acl repeatable path_end {' '.join(f'/{each}' for each in sorted(SAFE_RPCS))}",
                # an answer without a body that is made here has no type of its own
                f"  http-after-response set-header content-type {CONTENT_TYPE} if {{ res.hdr(grpc-status) -m found }}",
                # of a request that is refused while it is sent
                f"  http-response return {_refused(Code.RESOURCE_EXHAUSTED, 'The message is too large.')}"
                " if { status 413 }",
            ],
        )
    for backend in BACKENDS:
        named = [*_renamed(model, backend, names), *_pinned(backend, names)]
        lines += [
            f"backend {whole_of(backend)}",
            *named,
            f"  server whole {whole}",
            f"backend {backend}",
            f"  balance {POLICIES[policy]}",
            "  retry-on conn-failure empty-response",
            *named,
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


def _frontend(
    name: str, bind: str, settings: Settings, names: Path, *, refused: str, special: list[str]
) -> list[str]:
    """One way in. ``refused``: the answer to who has no token; ``special``: what may be sent twice, as the acl
    ``repeatable``, and more."""
    limits, token = settings.limits, settings.guard.token
    most = int(limits.connections * limits.client_share)
    now = f"%[str(now),map_str({names},{BACKENDS[0]})]"
    guarded = [
        f"  http-request return {refused} unless {{ http_auth_bearer -m str -- {_word(token)} }}",
    ]
    return [
        f"frontend {name}",
        f"  bind {bind}",
        "  stick-table type ipv6 size 100k expire 10m store conn_cur",
        "  tcp-request connection track-sc0 src",
        f"  tcp-request connection reject if {{ sc0_conn_cur gt {most} }}",
        *(guarded if token else []),
        *special,
        f"  acl large req.body_size gt {LARGE}",
        # what is sent again must be there whole when it is sent first
        f"  http-request wait-for-body time {_ms(limits.body_grace)} if !large repeatable",
        f"  use_backend {whole_of(now)} if large or !repeatable",
        f"  use_backend {now}",
    ]


def _refused(code: Code, message: str) -> str:
    """A call that failed, as it is returned."""
    return f"status 200 hdr grpc-status {code.value} hdr grpc-message {_word(message)}"


def _error(status: int, text: str) -> str:
    return (
        f"http-error status {status} content-type application/json string {_word(error_body(text).decode())}"
    )


def _renamed(model: str, backend: str, names: Path) -> list[str]:
    """Rules that put what a backend names into paths, as :meth:`VersionPin.target` does. ``names`` has it."""
    written = in_ascii(written_names(model))
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


def _pinned(backend: str, names: Path) -> list[str]:
    """Rules that say it with a call of gRPC, whose body has what it names."""
    header, value = PIN_HEADER.decode(), f"str({backend}.header),map_str({names},{UNNAMED})"
    return [
        f"  acl no_header {value} -m str -- {UNNAMED}",
        f"  acl call req.hdr(content-type) -m beg {CONTENT_TYPE}",
        f"  http-request del-header {header}",
        f"  http-request set-header {header} %[{value}] if call !no_header",
    ]


def _ms(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"


def _word(text: str) -> str:
    """One word of its language, whatever is in it: nothing is special between single quotes but the line's end."""
    return "'" + text.replace("'", "'\"'\"'").replace("\n", "'\"\\n\"'") + "'"
