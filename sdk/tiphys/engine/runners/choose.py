"""The runner that the options ask for, or the next best that this machine allows."""

from __future__ import annotations

from tiphys.engine.base.options import RunOptions
from tiphys.engine.runners.base import Runner
from tiphys.engine.runners.process import ProcessRunner
from tiphys.engine.runners.sandbox import SandboxRunner
from tiphys.errors import RefusedError

__all__ = ["choose_runner"]


def choose_runner(options: RunOptions) -> tuple[Runner, str]:
    """The runner and, when it is weaker than what was asked for, a sentence that says so.

    Raises RefusedError for an unknown runner, or for docker where it is not there.
    """
    if options.runner == "process":
        return ProcessRunner(), ""
    if options.runner == "sandbox":
        sandbox = SandboxRunner()
        problem = sandbox.check()
        if not problem:
            return sandbox, ""
        return ProcessRunner(), (
            f"no sandbox here ({problem}): steps run as plain processes; their paths are rewritten, and they see "
            "this machine's files"
        )
    if options.runner == "docker":
        from tiphys.engine.runners.docker import DockerRunner

        docker = DockerRunner()
        if problem := docker.check():
            raise RefusedError(
                "TIP224", f"the docker runner cannot be used: {problem}", fix="use --runner process"
            )
        return docker, ""
    raise RefusedError("TIP225", f"unknown runner {options.runner!r}", fix="use process, sandbox or docker")
