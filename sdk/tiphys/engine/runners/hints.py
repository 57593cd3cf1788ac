"""Why a file or a connection may be missing: what a runner does not give, said where it is the likely cause."""

from __future__ import annotations

import os
from pathlib import Path

from tiphys.engine.runners.base import Container, absolute
from tiphys.engine.runners.network import Network, NetworkLost, proxies_here
from tiphys.lazy import regex
from tiphys.reference import tail

__all__ = ["missing_file", "no_connection"]

_TAIL = 8192  # bytes of a log that are looked at
_MISSING = regex(
    r"No such file or directory: '(/[^']+)'|(?:^|[\s:'])(/[^\s:']+)'?: No such file or directory"
)
_NOWHERE = regex(
    r"(?i)temporary failure in name resolution|name or service not known|could not resolve|unable to resolve|"
    r"network is unreachable|no route to host|no such host|EAI_AGAIN|ENETUNREACH|dns error"
)
_REFUSED = regex(r"(?i)connection refused|ECONNREFUSED|failed to connect|cannot connect to proxy")
_HOST = "run with --network host, which is this machine's network"
_WHY = (
    "plain processes get the paths that the command, the arguments, the environment and the script name moved to a "
    "folder of their own, not those that their code computes; --runner sandbox gives them a file system of their own"
)


def missing_file(container: Container, *, failed: bool) -> str:
    """A sentence about an output that is not there, or a file that a failed step did not find; else nothing."""
    for path in () if failed else container.outputs:
        place = container.on_host(path)
        if place.exists() or path in container.shown:
            continue
        found = Path(path)
        there = f"{path} is on this machine, not where the step's own files are" if found.exists() else ""
        return f"the output {path} was not found: {there or 'its path may be one that the code computes'}; {_WHY}"
    if failed and (path := _in_log(container)):
        return f"the step did not find {path}: {_WHY}"
    return ""


def no_connection(container: Container, network: Network) -> str:
    """A sentence about a step that failed where its log tells of a connection that the network of its run does not
    give; else nothing."""
    if not network.own:
        return ""
    text = _end(container)
    refused, nowhere = _REFUSED.search(text), _NOWHERE.search(text)
    proxies = proxies_here({**container.base_env, **container.env}) if refused or nowhere else ()
    if proxies:
        return f"the proxy in {proxies[0]} is on this machine's loopback, which steps do not reach: {_HOST}"
    try:
        problem = network.outside if nowhere else ""
    except NetworkLost as error:
        problem = str(error)
    if problem:
        return f"the step reaches nothing outside of its run: {problem}; install or mend it, or {_HOST}"
    if refused:
        return f"a service of this machine, if the step asked one, is not in the network of its run: {_HOST}"
    return ""


def _end(container: Container) -> str:
    """The last of what it wrote."""
    try:
        return tail(Path(container.log), _TAIL)
    except OSError:
        return ""


def _in_log(container: Container) -> str:
    """A path of the pod, not of this machine, that the log says is missing: one of its inputs, outputs or volumes."""
    text = _end(container)
    own = [absolute(path) for path in container.declared]
    own += [os.path.dirname(path) for path in own if os.path.dirname(path) not in ("/", "/tmp")]
    own += [mount.path for mount in container.mounts]
    for match in _MISSING.finditer(text):
        path = match[1] or match[2]
        if any(path == each or path.startswith(each.rstrip("/") + "/") for each in own):
            return path
    return ""
