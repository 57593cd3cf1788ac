"""What Envoy is to do, in its own words (its API, version 3, as JSON)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from tiphys.errors import ServingError
from tiphys.net.message import error_body
from tiphys.serving.balancer.driven import BACKENDS, ERRORS, LARGE, whole_of
from tiphys.serving.balancer.endpoint import parse_address
from tiphys.serving.balancer.pin import in_ascii, labelled_places
from tiphys.serving.balancer.policy import POLICIES, ConsistentHash, make_policy
from tiphys.serving.balancer.repeatable import SAFE_ENDS, SAFE_METHODS
from tiphys.serving.guard import NO_TOKEN
from tiphys.serving.rpc.frames import PIN_HEADER

if TYPE_CHECKING:
    from tiphys.jsontypes import Json, JsonObject
    from tiphys.serving.balancer.core import Settings
    from tiphys.serving.balancer.pin import VersionPin

__all__ = ["bootstrap", "endpoints", "replicas_of", "routes", "whole_policy"]

_MANY = 1_000_000  # of what nobody is to count
_CLIENT = "x-tiphys-client"
_ASKER = "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"
_TYPE = "type.googleapis.com/envoy"
_HTTP = f"{_TYPE}.extensions.filters"
_ROUTES, _REPLICAS = "routes", "replicas"


def replicas_of(backend: str) -> str:
    """The cluster of a backend that has the replicas."""
    return f"{backend}_replicas"


def whole_policy(policy: str) -> str:
    """How the balancer behind it balances: who asks it is Envoy, which says who asked. Raises ServingError TIP511 for a
    policy that Envoy has not."""
    made = make_policy(policy)
    if isinstance(made, ConsistentHash) and made.by.partition(".")[0] == "body":
        raise ServingError(
            "TIP511",
            f"Envoy does not balance by {policy!r}: it does not look into bodies.",
            fix=f"Use one of: {', '.join(POLICIES)}, hash:HEADER; or the built-in driver.",
        )
    return f"hash:{_CLIENT}" if policy == "hash" else policy


# ---- what holds from its start
def bootstrap(
    *,
    address: tuple[str, int],
    policy: str,
    whole: int,
    folder: Path,
    health_path: str | None,
    certificate: tuple[Path, Path] | None,
    settings: Settings,
) -> JsonObject:
    """What it begins with. ``whole``: the port of the balancer that holds requests whole; ``folder``: where files and
    sockets are; ``certificate``: the files of it and of its key."""
    clusters: list[Json] = []
    for backend in BACKENDS:
        clusters += [
            _aggregate(backend),
            _replicas(replicas_of(backend), policy, folder, health_path, settings),
            _whole(whole_of(backend), whole),
        ]
    front: JsonObject = {
        "name": "front",
        "address": _socket(*address),
        "enable_reuse_port": True,
        "tcp_backlog_size": 1024,
        "filter_chains": [_chain("front", folder, settings, certificate)],
    }
    probe: JsonObject = {
        "name": "probe",
        "address": {"pipe": {"path": str(folder / "probe"), "mode": 0o600}},
        "ignore_global_conn_limit": True,
        "filter_chains": [_chain("probe", folder, settings, None)],
    }
    return {
        "node": {"id": "tiphys", "cluster": "tiphys"},
        "admin": {
            "address": {"pipe": {"path": str(folder / "control"), "mode": 0o600}},
            "ignore_global_conn_limit": True,
        },
        "static_resources": {"listeners": [front, probe], "clusters": clusters},
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": f"{_TYPE}.extensions.resource_monitors.downstream_connections.v3"
                        ".DownstreamConnectionsConfig",
                        "max_active_downstream_connections": settings.limits.connections,
                    },
                }
            ]
        },
        # names make regular expressions long; nobody else writes any
        "layered_runtime": {
            "layers": [{"name": "tiphys", "static_layer": {"re2.max_program_size.error_level": _MANY}}]
        },
        "stats_flush_on_admin": True,
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": [_regex(_COUNTED)]}}},
    }


# what is read of it; it counts nothing else
_COUNTED = (
    r"http\.front\.(downstream_(rq_total|rq_5xx|rq_active|cx_active)|rds\..*)"
    r"|cluster\.[a-z](_replicas|_whole)?\.(upstream_rq_(total|active|pending_active|retry)|update_\w+|version_text)"
)


def _regex(regex: str) -> JsonObject:
    return {"safe_regex": {"regex": regex}}


def _socket(host: str, port: int) -> JsonObject:
    return {"socket_address": {"address": host, "port_value": port}}


def _seconds(seconds: float) -> str:
    return f"{max(0.001, seconds):.3f}s"


def _watched(folder: Path, name: str) -> JsonObject:
    return {"resource_api_version": "V3", "path_config_source": {"path": str(folder / f"{name}.json")}}


def _chain(name: str, folder: Path, settings: Settings, certificate: tuple[Path, Path] | None) -> JsonObject:
    """What is done with a connection."""
    limits = settings.limits
    manager: JsonObject = {
        "@type": f"{_HTTP}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "codec_type": "HTTP1",
        "http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": "tiphys"},
        "rds": {"route_config_name": _ROUTES, "config_source": _watched(folder, _ROUTES)},
        "http_filters": [
            {
                "name": "router",
                "typed_config": {
                    "@type": f"{_HTTP}.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                    "dynamic_stats": False,
                },
            }
        ],
        "common_http_protocol_options": {"idle_timeout": _seconds(limits.idle_timeout)},
        "request_headers_timeout": _seconds(limits.header_timeout),
        "max_request_headers_kb": max(1, min(8192, limits.header_bytes // 1024)),
        # of a body that does not come, too
        "stream_idle_timeout": _seconds(settings.timeout + settings.hold + limits.body_grace),
        "use_remote_address": True,
        "skip_xff_append": True,  # of who asks from this machine it would say another address
        # nobody may tell it what to do: this one is nobody's
        "internal_address_config": {"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]},
        "generate_request_id": False,
        "server_header_transformation": "PASS_THROUGH",
        "local_reply_config": {
            "mappers": [_reply(status, text) for status, text in _ERRORS.items()],
        },
    }
    chain: JsonObject = {"filters": [{"name": "http", "typed_config": manager}]}
    if certificate is not None:
        chain["transport_socket"] = {
            "name": "tls",
            "typed_config": {
                "@type": f"{_TYPE}.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {
                    "alpn_protocols": ["http/1.1"],
                    "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                    "tls_certificates": [
                        {
                            "certificate_chain": {"filename": str(certificate[0])},
                            "private_key": {"filename": str(certificate[1])},
                        }
                    ],
                },
            },
        }
    return chain


_ERRORS = {**ERRORS, 431: "The headers are too large"}


def _reply(status: int, text: str) -> JsonObject:
    value: JsonObject = {"default_value": status, "runtime_key": f"tiphys.{status}"}
    return {
        "filter": {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}},
        "body": {"inline_string": error_body(text).decode()},
        "body_format_override": {
            "text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"},
            "content_type": "application/json",
        },
    }


def _aggregate(backend: str) -> JsonObject:
    """The replicas, and the balancer that holds requests when none of them is ready."""
    return {
        "name": backend,
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {
            "name": "envoy.clusters.aggregate",
            "typed_config": {
                "@type": f"{_TYPE}.extensions.clusters.aggregate.v3.ClusterConfig",
                "clusters": [replicas_of(backend), whole_of(backend)],
            },
        },
        **_without_end(),
    }


def _without_end() -> JsonObject:
    most: JsonObject = dict.fromkeys(
        ("max_connections", "max_pending_requests", "max_requests", "max_retries"), _MANY
    )
    return {"circuit_breakers": {"thresholds": [most]}, "connect_timeout": "2s"}


def _replicas(
    name: str, policy: str, folder: Path, health_path: str | None, settings: Settings
) -> JsonObject:
    interval = _seconds(settings.health_interval)
    check: JsonObject = {
        "interval": interval,
        "no_traffic_interval": interval,
        "timeout": _seconds(settings.health_timeout),
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
    }
    if health_path:
        check["http_health_check"] = {"path": quote(health_path, safe="/:?&=%@"), "host": "tiphys"}
    else:
        check["tcp_health_check"] = {}
    balanced: JsonObject = {"lb_policy": policy.upper().replace("-", "_")}
    common: JsonObject = {"healthy_panic_threshold": {"value": 0}, "update_merge_window": "0s"}
    if policy == "least-request":
        balanced["least_request_lb_config"] = {"choice_count": 2}
    elif policy != "round-robin":
        balanced["lb_policy"] = "MAGLEV"
        common["consistent_hashing_lb_config"] = {"hash_balance_factor": 125}
    return {
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"service_name": _REPLICAS, "eds_config": _watched(folder, _REPLICAS)},
        **balanced,
        "common_lb_config": common,
        "health_checks": [check],
        "ignore_health_on_host_removal": True,
        "outlier_detection": {
            "consecutive_5xx": 5,
            "split_external_local_origin_errors": True,
            "consecutive_local_origin_failure": 3,
            "interval": "0.5s",
            "base_ejection_time": "1s",
            "max_ejection_time": "30s",
            "max_ejection_percent": 100,
            "enforcing_consecutive_gateway_failure": 0,
            "enforcing_success_rate": 0,
            "enforcing_local_origin_success_rate": 0,
        },
        # it lets go of a connection before the replica does
        **_upstream(settings.limits.idle_timeout / 2),
        **_without_end(),
    }


def _upstream(idle: float) -> JsonObject:
    return {
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{_TYPE}.extensions.upstreams.http.v3.HttpProtocolOptions",
                "common_http_protocol_options": {"idle_timeout": _seconds(idle)},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        }
    }


def _whole(name: str, port: int) -> JsonObject:
    return {
        "name": name,
        "type": "STATIC",
        "load_assignment": _assignment(name, [_endpoint("127.0.0.1", port)]),
        **_upstream(20.0),
        **_without_end(),
    }


# ---- what changes
def endpoints(weights: Mapping[str, float], numbers: Mapping[str, str], version: int) -> JsonObject:
    """The replicas. ``numbers``: the addresses of their hosts."""
    most = max(weights.values(), default=0.0)
    made = []
    for address, weight in weights.items():
        if weight:
            host, port = parse_address(address)
            each = _endpoint(numbers[host], port)
            each["load_balancing_weight"] = max(1, round(65536 * weight / most))
            made.append(each)
    assignment = _assignment(_REPLICAS, made)
    # as long as one of them is healthy, all goes to them
    assignment["policy"] = {"overprovisioning_factor": 100 * max(2, len(made))}
    return _told(version, "endpoint.v3.ClusterLoadAssignment", assignment)


def _endpoint(host: str, port: int) -> JsonObject:
    return {"endpoint": {"address": _socket(host, port)}}


def _assignment(name: str, made: Iterable[JsonObject]) -> JsonObject:
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": [*made]}]}


def _told(version: int, kind: str, what: JsonObject) -> JsonObject:
    return {"version_info": str(version), "resources": [{"@type": f"{_TYPE}.config.{kind}", **what}]}


def routes(
    *,
    backend: str,
    pin: VersionPin | None,
    policy: str,
    settings: Settings,
    probe: str,
    version: int,
) -> JsonObject:
    """Which backend is asked, and what is named to it. ``probe``: a host name at which it tells ``version``."""
    answer: JsonObject = {
        "match": {"prefix": ""},
        "direct_response": {"status": 200, "body": {"inline_string": str(version)}},
    }
    ways = _Ways(backend, policy, settings)
    hosts: list[Json] = [
        {"name": "probe", "domains": [probe], "routes": [answer]},
        {
            "name": "all",
            "domains": ["*"],
            "routes": [*_refusal(settings.guard.token), *ways.all(pin)],
            "request_headers_to_remove": [PIN_HEADER.decode()],  # which is ours to say
            "request_headers_to_add": [_header("x-forwarded-for", _ASKER, "APPEND_IF_EXISTS_OR_ADD")],
        },
    ]
    return _told(version, "route.v3.RouteConfiguration", {"name": _ROUTES, "virtual_hosts": hosts})


def _refusal(token: str) -> list[Json]:
    if not token:
        return []
    known = f"(?i:bearer) +{re.escape(token)}"
    header: JsonObject = {
        "name": "authorization",
        "string_match": _regex(known),
        "invert_match": True,
        "treat_missing_header_as_empty": True,
    }
    text = error_body(NO_TOKEN).decode()
    return [
        {
            "match": {"prefix": "", "headers": [header]},
            "direct_response": {"status": 401, "body": {"inline_string": text}},
            "response_headers_to_add": [
                _header("content-type", "application/json"),
                _header("www-authenticate", "Bearer"),
            ],
        }
    ]


def _header(name: str, value: str, action: str = "OVERWRITE_IF_EXISTS_OR_ADD") -> JsonObject:
    return {"header": {"key": name, "value": value}, "append_action": action}


_SMALL: JsonObject = {"name": "content-length", "range_match": {"start": 0, "end": LARGE + 1}}
_SAFE: JsonObject = {"name": ":method", "string_match": _regex("|".join(sorted(SAFE_METHODS)))}
_BARE: JsonObject = {"name": "content-length", "present_match": True, "invert_match": True}
_ASKS = f"(?i:{'|'.join(map(re.escape, SAFE_ENDS))})"


_OTHER: JsonObject = {
    "name": "envoy.retry_host_predicates.previous_hosts",
    "typed_config": {"@type": f"{_TYPE}.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
}
_LAST: JsonObject = {  # after two replicas, the balancer that tries all of them
    "name": "envoy.retry_priorities.previous_priorities",
    "typed_config": {
        "@type": f"{_TYPE}.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
        "update_frequency": 2,
    },
}


class _Ways:
    """The routes to a backend: what may run twice and is small goes to its replicas, and else to the balancer that
    holds it whole. What costs most is looked at first."""

    def __init__(self, backend: str, policy: str, settings: Settings) -> None:
        made = make_policy(policy)
        self._by = made.by if isinstance(made, ConsistentHash) else ""
        self._direct: JsonObject = {
            "cluster": backend,
            "timeout": _seconds(settings.timeout),
            "retry_policy": {
                "retry_on": "connect-failure,reset",
                "num_retries": max(1, settings.attempts - 1),
                "retry_back_off": {"base_interval": "0.002s", "max_interval": "0.010s"},
                "host_selection_retry_max_attempts": 4,
                "retry_host_predicate": [_OTHER],
                "retry_priority": _LAST,
            },
            **self._hashed(),
        }
        held = settings.timeout + settings.hold + 10.0
        self._whole: JsonObject = {"cluster": whole_of(backend), "timeout": _seconds(held)}

    def _hashed(self) -> JsonObject:
        if not self._by:
            return {}
        address: JsonObject = {"connection_properties": {"source_ip": True}}
        if self._by == "address":
            return {"hash_policy": [address]}
        return {"hash_policy": [{"header": {"header_name": self._by}, "terminal": True}, address]}

    def all(self, pin: VersionPin | None) -> Iterator[Json]:
        for path, target in (pin.paths if pin is not None else {}).items():
            if path.isascii() and path.isprintable() and " " not in path:
                yield from self._one({"path": path}, {"prefix_rewrite": target}, path.endswith(SAFE_ENDS))
        if pin is not None and (ending := pin.names["ending"]):
            for place, verbs in labelled_places(in_ascii(pin.models)):
                rewritten: JsonObject = {
                    "regex_rewrite": {
                        "pattern": {"regex": f"^({place})({verbs})$"},
                        "substitution": f"\\1{ending}\\2",
                    }
                }
                asks = "|".join(each for each in verbs.split("|") if each in SAFE_ENDS)
                yield self._to_replicas(_regex(f"{place}(?:{asks})"), rewritten, _SMALL)
                yield from self._one(_regex(f"{place}(?:{verbs})"), rewritten, False)
        yield self._to_replicas(_regex(f".*{_ASKS}"), {}, _SMALL)
        yield from self._one({"prefix": ""}, {}, False)

    def _one(self, where: JsonObject, rewritten: JsonObject, asks: bool) -> Iterator[Json]:
        if asks:
            yield self._to_replicas(where, rewritten, _SMALL)
        yield self._to_replicas(where, rewritten, _SAFE, _BARE)
        yield self._to_replicas(where, rewritten, _SAFE, _SMALL)
        yield self._to_whole(where, rewritten)

    def _to_replicas(self, where: JsonObject, rewritten: JsonObject, *headers: JsonObject) -> JsonObject:
        return {"match": {**where, "headers": [*headers]}, "route": {**self._direct, **rewritten}}

    def _to_whole(self, where: JsonObject, rewritten: JsonObject) -> JsonObject:
        made: JsonObject = {"match": where, "route": {**self._whole, **rewritten}}
        if self._by == "address":
            made["request_headers_to_add"] = [_header(_CLIENT, _ASKER)]
        elif self._by:
            made["request_headers_to_add"] = [_header(self._by, _ASKER, "ADD_IF_ABSENT")]
        return made
