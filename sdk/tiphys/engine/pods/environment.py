"""The environment variables of a container."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from tiphys.argo.paths import variable_problem
from tiphys.argo.time import ZERO, rfc3339
from tiphys.compiler.project import import_folders
from tiphys.engine.machine.protocol import StartPod
from tiphys.engine.pods.host import Host
from tiphys.engine.runners.base import StartProblem
from tiphys.engine.runners.programs import STANDINS
from tiphys.lazy import regex
from tiphys.step.kinds import LAST_WORDS_ENV

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ContainerSpec, EnvSource, Metadata, ResourceFieldRef

    Resource: TypeAlias = Callable[[ResourceFieldRef], str]  # the value that one has

__all__ = [
    "LAST_WORDS",
    "PROGRESS",
    "argo_environment",
    "base_environment",
    "container_environment",
    "expand",
    "pod_fields",
    "project_environment",
]


# what a program needs of this machine; nothing else of the user's environment reaches a step
_PASSED = (
    "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE", "http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    "ALL_PROXY", "USER", "LOGNAME", "CUDA_HOME",
)  # fmt: skip
PROGRESS = "/tmp/.argo-progress"  # not below /var/run/argo: that would be a folder more for every step
LAST_WORDS = "/tmp/.tiphys-termination-log"
"""What stands for the kubelet's ``/dev/termination-log``, which a process of this machine cannot have."""
_ARG_LIMIT = 100_000  # a single environment value must stay below the kernel's 128 kB
_REFERENCE = regex(r"\$\$|\$\(([A-Za-z_.-][A-Za-z0-9_.-]*)\)")


def base_environment(project: str = "") -> dict[str, str]:
    """What stands for the environment of an image: the programs and settings of this machine, and the modules of the
    ``project`` that the workflow was written in (its image has them: a step may run one by name)."""
    env = {name: os.environ[name] for name in _PASSED if name in os.environ}
    env.update({name: value for name, value in os.environ.items() if name.startswith("LC_")})
    search = [
        str(Path(sys.executable).parent),
        *os.environ.get("PATH", os.defpath).split(os.pathsep),
        str(STANDINS),
    ]
    env["PATH"] = os.pathsep.join(dict.fromkeys(filter(None, search)))
    if project:
        env["PYTHONPATH"] = os.pathsep.join(map(str, import_folders(Path(project))))
    return env


def project_environment(project: str) -> dict[str, str]:
    """The environment of the project's own images: components/ and the user's modules can be imported."""
    env = base_environment(project or os.getcwd())
    path = [env["PYTHONPATH"], os.environ.get("PYTHONPATH", "")]
    env["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    env["PYTHONUNBUFFERED"] = "1"
    return env


def expand(text: str, base: Mapping[str, str], env: Mapping[str, str]) -> str:
    """Kubernetes' ``$(NAME)``: replaced when NAME is set, else kept; ``$$`` is a dollar sign."""
    if "$" not in text:
        return text

    def value(match: re.Match[str]) -> str:
        name = match[1]
        return "$" if not name else env[name] if name in env else base.get(name, match[0])

    return _REFERENCE.sub(value, text)


def pod_fields(host: Host, pod: str, ip: str, metadata: Metadata) -> dict[str, str]:
    """What ``fieldRef`` can name."""
    fields = {
        "metadata.name": pod,
        "metadata.namespace": host.namespace,
        "metadata.uid": host.uid,
        "spec.nodeName": "localhost",
        "spec.serviceAccountName": str(host.spec.get("serviceAccountName") or "default"),
        "status.podIP": ip,
        "status.podIPs": ip,
        "status.hostIP": "127.0.0.1",
    }
    for group, found in (("labels", metadata.get("labels")), ("annotations", metadata.get("annotations"))):
        for key, value in (found or {}).items():
            fields[f"metadata.{group}['{key}']"] = str(value)
    return fields


def argo_environment(host: Host, command: StartPod, name: str, text: str) -> dict[str, str]:
    """What the executor gives a container of a step; ``text``: its template as JSON."""
    deadline = command.deadline
    env = {
        "ARGO_CONTAINER_NAME": name,
        "ARGO_NODE_ID": command.node_id,
        "ARGO_POD_NAME": command.pod_name,
        "ARGO_WORKFLOW_NAME": host.workflow,
        "ARGO_WORKFLOW_UID": host.uid,
        "ARGO_INCLUDE_SCRIPT_OUTPUT": "true" if command.capture_result else "false",
        "ARGO_DEADLINE": ZERO if deadline is None else rfc3339(deadline),
        "ARGO_PROGRESS_FILE": PROGRESS,
        LAST_WORDS_ENV: LAST_WORDS,
        "ARGO_PROGRESS_FILE_TICK_DURATION": "3s",
        "ARGO_PROGRESS_PATCH_TICK_DURATION": "1m0s",
    }
    if len(text) < _ARG_LIMIT:
        env["ARGO_TEMPLATE"] = text
    return env


def container_environment(
    host: Host,
    container: ContainerSpec,
    fields: Callable[[], Mapping[str, str]],
    base: Mapping[str, str],
    resource: Resource,
) -> dict[str, str]:
    """The container's ``envFrom`` and ``env``, over ``base``; ``fields`` and ``resource`` are what its references name.
    Raises StartProblem for what is not there."""
    env: dict[str, str] = {}
    for group in container.get("envFrom") or []:
        prefix = str(group.get("prefix") or "")
        for kind, reference in (("ConfigMap", group.get("configMapRef")), ("Secret", group.get("secretRef"))):
            if reference is not None:
                data = _data(host, kind, str(reference.get("name")), bool(reference.get("optional")))
                # as the kubelet, which leaves out what no variable can be called
                env.update(
                    {
                        prefix + key: value.decode(errors="surrogateescape")
                        for key, value in data.items()
                        if not variable_problem(prefix + key)
                    }
                )
    for at, item in enumerate(container.get("env") or []):
        name = str(item.get("name") or "")
        if not name:
            raise StartProblem(f"env[{at}].name: Required value", phase="Error")
        source = item.get("valueFrom")
        if source is None:
            env[name] = expand(_text(item.get("value")), base, env)
            continue
        value = _value_from(host, source, fields, resource)
        if value is not None:
            env[name] = value
    return env


def _value_from(
    host: Host, source: EnvSource, fields: Callable[[], Mapping[str, str]], resource: Resource
) -> str | None:
    places = (("ConfigMap", source.get("configMapKeyRef")), ("Secret", source.get("secretKeyRef")))
    for kind, reference in places:
        if reference is not None:
            name, key, optional = (
                str(reference.get("name")),
                str(reference.get("key")),
                bool(reference.get("optional")),
            )
            data = _data(host, kind, name, optional, key)
            if key in data:
                return data[key].decode(errors="surrogateescape")
            if optional:
                return None
            host.not_given(kind, name, key)
            raise StartProblem(
                f"CreateContainerConfigError: couldn't find key {key} in {kind} {host.namespace}/{name}",
                phase="Error",
            )
    if (field := source.get("fieldRef")) is not None:
        return fields().get(str(field.get("fieldPath")), "")
    if (amount := source.get("resourceFieldRef")) is not None:
        return resource(amount)
    return None


def _data(host: Host, kind: str, name: str, optional: bool, key: str = "") -> dict[str, bytes]:
    data = host.objects.configmap(name) if kind == "ConfigMap" else host.objects.secret(name)
    if data is None:
        if optional:
            return {}
        host.not_given(kind, name, key)
        raise StartProblem(f'CreateContainerConfigError: {kind.lower()} "{name}" not found', phase="Error")
    return data


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
