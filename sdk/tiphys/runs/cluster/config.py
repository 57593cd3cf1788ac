"""Where the cluster is: what the environment and a kubeconfig say, read as `argo` and `kubectl` read it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from tiphys.errors import ClusterError
from tiphys.runs.cluster.transport import HttpTransport

if TYPE_CHECKING:

    class _Context(TypedDict, total=False):
        """An entry of a kubeconfig's ``contexts``."""

        name: str
        context: dict[str, str]


__all__ = ["ServerSettings", "configured", "kubernetes_transport", "server_settings"]

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TRUE = {"1", "t", "true", "yes", "on"}


@dataclass(frozen=True)
class ServerSettings:
    """How to reach an Argo Server."""

    url: str
    token: str = ""
    verify: bool | str = True
    namespace: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def transport(self) -> HttpTransport:
        token = self.token
        if token and " " not in token:
            token = f"Bearer {token}"
        return HttpTransport(
            self.url, token=(lambda: token) if token else None, verify=self.verify, headers=dict(self.headers)
        )


def server_settings(
    server: str | None = None,
    *,
    token: str | None = None,
    ca_file: str | None = None,
    insecure: bool | None = None,
    environ: Mapping[str, str] | None = None,
) -> ServerSettings | None:
    """Settings from arguments, then from the variables of the `argo` command; None when no server is named.

    ``ARGO_SERVER`` (host:port or URL), ``ARGO_TOKEN``, ``ARGO_SECURE``, ``ARGO_INSECURE_SKIP_VERIFY``,
    ``ARGO_BASE_HREF``, ``ARGO_NAMESPACE``, ``ARGO_HTTP_HEADER``. Requests are HTTP/1.1 always, so that they
    pass any proxy (``ARGO_HTTP1`` is not needed).
    """
    env = os.environ if environ is None else environ
    address = (server or env.get("ARGO_SERVER", "")).strip()
    if not address:
        return None
    if "://" not in address:
        secure = env.get("ARGO_SECURE", "true").lower() in _TRUE
        address = f"{'https' if secure else 'http'}://{address}"
    if not address.startswith(("http://", "https://")) or address in ("http://", "https://"):
        raise ClusterError(
            "TIP610",
            f"{address!r} is not the address of an Argo Server",
            fix="write host:port or https://host:port",
        )
    base = env.get("ARGO_BASE_HREF", "").strip("/")
    if base:
        address = f"{address.rstrip('/')}/{base}"
    if insecure is None:
        insecure = env.get("ARGO_INSECURE_SKIP_VERIFY", "").lower() in _TRUE
    if ca_file and not Path(ca_file).is_file():
        raise ClusterError("TIP610", f"the CA bundle {ca_file} is not a file", fix="check --ca-file")
    headers = []
    for line in filter(None, (part.strip() for part in env.get("ARGO_HTTP_HEADER", "").split(","))):
        name, colon, value = line.partition(":")
        if colon:
            headers.append((name.strip(), value.strip()))
    return ServerSettings(
        url=address,
        token=token if token is not None else env.get("ARGO_TOKEN", ""),
        verify=ca_file or not insecure,
        namespace=env.get("ARGO_NAMESPACE", ""),
        headers=tuple(headers),
    )


def configured(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the environment names a cluster: an Argo Server, or (where the package that reads them is installed) a
    kubeconfig or the service account of a pod."""
    env = os.environ if environ is None else environ
    if env.get("ARGO_SERVER", "").strip():
        return True
    path = env.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    found = any(Path(part).expanduser().is_file() for part in path.split(os.pathsep) if part)
    return (found or (_SERVICE_ACCOUNT / "token").is_file()) and find_spec("kubernetes") is not None


def kubernetes_transport(
    kubeconfig: str | None = None, context: str | None = None, *, environ: Mapping[str, str] | None = None
) -> tuple[HttpTransport, str]:
    """A transport to the Kubernetes API and the namespace that the context names.

    The kubeconfig (argument, ``KUBECONFIG``, ``~/.kube/config``, or the service account inside a pod) is read
    by the ``kubernetes`` package: clients log in through exec plugins, OIDC and client certificates, and that
    is better kept there than here. Nothing else of it is used, since its models double every field.
    """
    env = os.environ if environ is None else environ
    try:
        from kubernetes import client
        from kubernetes import config as reader
    except ImportError as error:
        raise ClusterError(
            "TIP610",
            "reading a kubeconfig needs the package 'kubernetes'",
            cause="it is not installed",
            fix="pip install 'tiphys[cluster]', or name an Argo Server with --server or ARGO_SERVER",
        ) from error
    config: Any = reader  # it has no types
    settings = client.Configuration()
    path = kubeconfig or env.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    exists = any(Path(part).expanduser().is_file() for part in path.split(os.pathsep) if part)
    namespace = ""
    if not exists and kubeconfig is None and (_SERVICE_ACCOUNT / "token").is_file():
        config.load_incluster_config(client_configuration=settings)
        namespace = (_SERVICE_ACCOUNT / "namespace").read_text().strip()
    elif not exists:
        raise ClusterError(
            "TIP610",
            "no cluster is configured",
            cause=f"ARGO_SERVER is not set and there is no kubeconfig at {path}",
            fix="set ARGO_SERVER=host:port (and ARGO_TOKEN), or KUBECONFIG, or pass --server / --kubeconfig",
        )
    else:
        try:
            config.load_kube_config(config_file=path, context=context, client_configuration=settings)
            contexts, active = config.list_kube_config_contexts(config_file=path)
        except Exception as error:  # the package's own, yaml's and OS errors
            raise ClusterError(
                "TIP610",
                f"the kubeconfig {path} cannot be used",
                cause=str(error)[:300],
                fix="try it with kubectl",
            ) from error
        chosen: _Context = active
        if context:
            chosen = next((item for item in contexts if item["name"] == context), active)
        namespace = str(chosen.get("context", {}).get("namespace") or "")
    verify: bool | str = settings.verify_ssl and (settings.ssl_ca_cert or True)
    certificate = (
        (settings.cert_file, settings.key_file) if settings.cert_file and settings.key_file else None
    )
    transport = HttpTransport(
        settings.host,
        token=_bearer(settings),
        verify=verify,
        certificate=certificate,
        proxies={"https": settings.proxy, "http": settings.proxy} if settings.proxy else None,
    )
    return transport, namespace


def _bearer(settings: Any) -> Callable[[], str]:
    def token() -> str:
        # runs the package's refresh hook, which renews tokens of exec plugins and OIDC; basic log-in is there, too
        for way in settings.auth_settings().values():
            if way.get("in") == "header" and way.get("key") == "authorization" and way.get("value"):
                return str(way["value"])
        return ""

    return token
