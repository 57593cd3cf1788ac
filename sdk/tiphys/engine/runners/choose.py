"""The runner that the options ask for; only ``auto`` takes the next best that this machine allows."""

from __future__ import annotations

from tiphys.engine.base.options import RunOptions
from tiphys.engine.runners.base import Runner
from tiphys.engine.runners.process import ProcessRunner
from tiphys.engine.runners.sandbox import SandboxRunner
from tiphys.errors import RefusedError

__all__ = ["choose_runner"]


def choose_runner(options: RunOptions) -> tuple[Runner, str]:
    """The runner and, when ``auto`` found none but the weakest, a sentence that says so.

    Raises RefusedError for a runner that does not exist (TIP225), and for one that was asked for and cannot be had:
    docker (TIP224), the sandbox or a network that is not this machine's (TIP229).
    """
    if options.runner in ("sandbox", "auto"):
        sandbox = SandboxRunner(network=options.network)
        problem = sandbox.check()
        if not problem:
            return sandbox, ""
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

        docker = DockerRunner(network=options.network)
        if problem := docker.check():
            raise RefusedError(
                "TIP224", f"the docker runner cannot be used: {problem}", fix="use --runner process"
            )
        return docker, ""
    raise RefusedError(
        "TIP225", f"unknown runner {options.runner!r}", fix="use process, sandbox, auto or docker"
    )


def _process(options: RunOptions) -> ProcessRunner:
    if options.network != "host":
        raise RefusedError(
            "TIP229",
            "plain processes have this machine's network",
            fix="use --network none with --runner sandbox or docker",
        )
    return ProcessRunner()
