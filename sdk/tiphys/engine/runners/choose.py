"""The runner that the options ask for; only ``auto`` takes the next best that this machine allows."""

from __future__ import annotations

import os

from tiphys.engine.base.options import RunOptions
from tiphys.engine.runners.base import Runner
from tiphys.engine.runners.network import NetworkLost, RunNetwork, proxies_here
from tiphys.engine.runners.process import ProcessRunner
from tiphys.engine.runners.sandbox import SandboxRunner
from tiphys.errors import RefusedError

__all__ = ["choose_runner"]

_SHARED = "its steps reach what listens on this machine"


def choose_runner(options: RunOptions) -> tuple[Runner, str]:
    """The runner and, when ``auto`` found none but the weakest, a sentence that says so.

    Raises RefusedError for a runner that does not exist (TIP225), and for one that was asked for and cannot be had:
    docker (TIP224), the sandbox or a network that is not this machine's (TIP229).
    """
    if options.runner in ("sandbox", "auto"):
        problem = SandboxRunner().check()
        if not problem:
            return _sandbox(options)
        if options.runner == "sandbox":
            raise RefusedError(
                "TIP229",
                f"the sandbox cannot be had here: {problem}",
                cause="without it, steps would see and change this machine's files",
                fix="install bubblewrap and allow user namespaces, or run what you trust with --runner auto",
            )
        return _process(options), (
            f"no sandbox here ({problem}): steps run as plain processes; their paths are rewritten, and they see "
            "this machine's files"
        )
    if options.runner == "process":
        return _process(options), ""
    if options.runner == "docker":
        from tiphys.engine.runners.docker import DockerRunner

        if options.network == "run":
            raise _no_own_network("containers of docker are in this machine's", "use --runner sandbox")
        docker = DockerRunner(network=options.network or "host")
        if problem := docker.check():
            raise RefusedError(
                "TIP224", f"the docker runner cannot be used: {problem}", fix="use --runner process"
            )
        return docker, ""
    raise RefusedError(
        "TIP225", f"unknown runner {options.runner!r}", fix="use process, sandbox, auto or docker"
    )


def _sandbox(options: RunOptions) -> tuple[SandboxRunner, str]:
    """The sandbox with the network that is asked for. Without a word it is one of the run's own; who keeps servers
    wants to reach them, and ``auto`` does not take the way out from a step that had it."""
    kept = options.keep_serving
    if options.network == "none":
        return SandboxRunner(alone=True), ""
    if options.network == "host":
        return SandboxRunner(), ""
    if kept and options.network == "run":
        raise _no_own_network(
            "servers that are to stay would be where nobody reaches them", "leave --network out"
        )
    if kept:
        return SandboxRunner(), f"the servers of this run are to stay: {_SHARED}"
    promised = options.runner == "sandbox" or options.network == "run"
    try:
        network = RunNetwork()
    except OSError as error:
        if promised:
            raise _no_own_network(str(error), "install util-linux and allow user namespaces") from error
        return SandboxRunner(), f"no network of the run's own here ({error}): {_SHARED}"
    if promised or not (problem := _shut_in(network)):
        return SandboxRunner(network), ""
    network.close()
    return SandboxRunner(), f"no way out of a network of the run's own ({problem}): {_SHARED}"


def _shut_in(network: RunNetwork) -> str:
    """Why steps would download less there than in this machine's network, or an empty string."""
    if proxies := proxies_here(os.environ):
        return f"the proxy in {proxies[0]} is on this machine's loopback"
    try:
        return network.outside
    except NetworkLost as error:
        return str(error)


def _no_own_network(problem: str, fix: str) -> RefusedError:
    return RefusedError(
        "TIP229",
        f"a network of the run's own cannot be had here: {problem}",
        cause="without it, steps reach the services of others on this machine",
        fix=f"{fix}, or let steps that you trust have this machine's with --network host",
    )


def _process(options: RunOptions) -> ProcessRunner:
    if options.network == "run":
        raise _no_own_network("plain processes are in this machine's", "use --runner sandbox")
    if options.network == "none":
        raise RefusedError(
            "TIP229",
            "plain processes have this machine's network",
            fix="use --network none with --runner sandbox or docker",
        )
    return ProcessRunner()
