"""Workflows that somebody creates: written down at once, and run by engines of their own, which outlive the server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from tiphys.engine import runtime
from tiphys.engine.base.options import RunOptions
from tiphys.errors import TiphysError
from tiphys.runs.local.detach import detach
from tiphys.runs.local.forks import EngineForks
from tiphys.runs.made_from import annotated
from tiphys.server.creators import created_by
from tiphys.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from tiphys.argo.types import GivenObject, Workflow

__all__ = ["Submissions"]

log = logging.getLogger("tiphys.server")

_SMALLEST = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Workflow",
    "metadata": {"generateName": "smallest-"},
    "spec": {"entrypoint": "main", "templates": [{"name": "main", "suspend": {}}]},
}


class Submissions:
    """Creates, retries. ``options``: the store, and how what is created runs; ``beginning`` holds what is made and does
    not run yet."""

    def __init__(self, options: RunOptions, beginning: set[str]) -> None:
        self.options = options
        self.beginning = beginning
        self.store = Store(options.store)
        self.forks = EngineForks()

    def prepare(self) -> threading.Thread:
        """Import, beside what is answered, what the first submission needs: it would wait half a second for that."""
        preparing = threading.Thread(
            target=self.create, args=(_SMALLEST, []), kwargs={"dry": True}, daemon=True
        )
        preparing.start()
        return preparing

    def create(self, workflow: Mapping[str, object], context: list[GivenObject], *, dry: bool = False) -> str:
        """Take a Workflow; ``context``: the templates that it may refer to. Its name; with ``dry`` nothing is kept.

        Raises
        ------
        RefusedError
            What cannot run here, or is no Workflow.
        StoreError
            The store cannot be written.
        """
        given = cast("Workflow", {key: value for key, value in workflow.items() if key != "status"})
        run = runtime.Run(annotated(given, None, self.store), options=self.options, context=context)
        if dry:
            return run.name
        self._begin(run)
        return run.name

    def retry(
        self,
        name: str,
        *,
        parameters: Mapping[str, str],
        restart_successful: bool = False,
        nodes: str = "",
        again: Collection[str] = (),
    ) -> None:
        """Run again what failed, beside the server. Raises what :func:`tiphys.engine.runtime.prepare_retry` does."""
        run = runtime.prepare_retry(
            name,
            options=replace(RunOptions(), store=self.options.store),
            parameters=parameters,
            restart_successful=restart_successful,
            selector=nodes,
            again=again,
        )
        self._begin(run)

    def retry_archived(
        self,
        workflow: Workflow,
        context: list[GivenObject],
        *,
        parameters: Mapping[str, str],
        restart_successful: bool,
        nodes: str,
    ) -> None:
        """As :meth:`retry`, of a run of which there is its Workflow alone: a new one of its name goes on from there.
        Raises what :func:`tiphys.engine.runtime.prepare_again` does."""
        run = runtime.prepare_again(
            workflow,
            options=self.options,
            context=context,
            parameters=parameters,
            restart_successful=restart_successful,
            selector=nodes,
        )
        self._begin(run)

    def resubmit(
        self, name: str, *, parameters: Mapping[str, str], memoized: bool, who: str | None = None
    ) -> str:
        """Run a copy, beside the server; its name. ``who``: its creator. Raises what
        :func:`tiphys.engine.runtime.prepare_resubmit` does."""

        def told(workflow: Workflow, project: Path | None) -> Workflow:
            made = annotated(workflow, project, self.store)
            return made if who is None else created_by(made, who)

        run = runtime.prepare_resubmit(
            name,
            options=replace(RunOptions(), store=self.options.store),
            parameters=parameters,
            memoized=memoized,
            told=told,
        )
        self._begin(run)
        return run.name

    def _begin(self, run: runtime.Run) -> None:
        """Write it down, and have an engine begin it."""
        name = run.name
        self.beginning.add(name)  # before anybody sees it
        try:
            run.lay_down()
        except BaseException:
            self.beginning.discard(name)
            raise
        words = ["run", "--resume", name, "--store", str(self.store.root)]

        def begin() -> None:
            try:
                detach(words, name, self.store.root, resumed=True, forks=self.forks)
            except TiphysError as error:  # it is there, and can be retried
                log.warning("the engine of %s did not begin: %s", name, error)
            finally:
                self.beginning.discard(name)

        threading.Thread(target=begin, name=f"tiphys-begin-{name}", daemon=True).start()
