"""What the server has: the store's runs, how new ones run, and the templates that are kept."""

from __future__ import annotations

import json
import logging
import random
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from tiphys.argo.names import generated_name, invalid, subdomain_problem
from tiphys.argo.reader import read_text
from tiphys.argo.time import rfc3339
from tiphys.compiler.source import load_source
from tiphys.engine.base.options import RunOptions
from tiphys.runs.checks import check_source
from tiphys.runs.local.backend import LocalRuns
from tiphys.runs.records import record_of
from tiphys.server.answers import RequestError
from tiphys.server.board import Board
from tiphys.server.controller import CONTROLLER, ControllerSettings, controller_settings
from tiphys.server.events import EventCollection
from tiphys.server.objects import KeptObjects
from tiphys.server.presigned import Presigned
from tiphys.server.submission import Submissions
from tiphys.server.verbs import delete, delete_ended
from tiphys.store import Store
from tiphys.store.archive import RunArchive

if TYPE_CHECKING:
    from tiphys.argo.types import GivenObject, Workflow
    from tiphys.compiler.source import Source
    from tiphys.records.record import RunRecord

__all__ = ["Desk"]

log = logging.getLogger("tiphys.server")


class Desk:
    """``options``: the store, its namespace, and how what is created runs. ``kept``: what is kept, by its resource.

    Raises StoreError where the store cannot be read or written.
    """

    def __init__(self, options: RunOptions) -> None:
        self.options = options
        self.board = Board(Store(options.store), options.namespace)
        self.events = EventCollection(self.board)
        self.runs = LocalRuns(options)
        self.submissions = Submissions(options, self.board.beginning)
        self.templates = (
            KeptObjects(self.board, "workflowtemplates", "WorkflowTemplate"),
            KeptObjects(self.board, "clusterworkflowtemplates", "ClusterWorkflowTemplate", namespaced=False),
        )
        self.crons = KeptObjects(self.board, "cronworkflows", "CronWorkflow")
        self.config_maps = KeptObjects(self.board, "configmaps", "ConfigMap", api="v1")
        self.bindings = KeptObjects(self.board, "workfloweventbindings", "WorkflowEventBinding")
        kept = (*self.templates, self.crons, self.config_maps, self.bindings)
        self.kept = {each.resource: each for each in kept}
        self.presigned = Presigned()
        self.archive = RunArchive(self.board.store)
        self._settings: tuple[str, ControllerSettings] = ("", ControllerSettings())
        self.board.archives = lambda: self.settings().archive

    def run(self, name: str) -> tuple[Workflow, RunRecord]:
        """A run, and what it has recorded. Raises RequestError 404."""
        workflow = self.board.get(name)
        if workflow is None:
            raise RequestError(404, f"There is no run {name[:200]!r}.")
        return workflow, record_of(workflow, self.board.store, name)

    def settings(self) -> ControllerSettings:
        """What holds for all runs, as the ConfigMap says now; nothing, where an earlier version kept one that cannot be
        read."""
        known = self.config_maps.get(CONTROLLER)
        version = str(known["metadata"]["resourceVersion"]) if known is not None else ""
        if version != self._settings[0]:
            found = ControllerSettings()
            try:
                found = controller_settings(known or {})
            except RequestError as error:
                log.warning("%s", error.message)
            self._settings = version, found
        return self._settings[1]

    def check(self, given: GivenObject) -> None:
        """Raises RefusedError TIP298 for a template that cannot be decoded as what it says it is, RequestError 422 for
        a ConfigMap whose values are no texts. A binding is judged when an event comes, as on a cluster."""
        if given.get("kind") == self.config_maps.kind:
            data = given.get("data") or {}
            if not isinstance(data, dict) or not all(isinstance(each, str) for each in data.values()):
                raise RequestError(422, "data: a ConfigMap has texts, each under a key")
            if (given.get("metadata") or {}).get("name") == CONTROLLER:
                controller_settings(given)
        if given.get("kind") in (self.config_maps.kind, self.bindings.kind):
            return
        check_source(load_source(given), strict=False, argo=self.options.argo)

    def source(self, given: GivenObject) -> Source:
        """An object, beside the templates that are kept, to which it may refer. Raises as :func:`load_source`."""
        name = (given.get("metadata") or {}).get("name")
        own = (given.get("kind"), name)
        others = [item for item in self.context() if (item.get("kind"), item["metadata"].get("name")) != own]
        source = load_source(given)
        text = "\n---\n".join(json.dumps(each) for each in others)
        return replace(source, documents=[*source.documents, *read_text(text, file="kept")])

    def context(self) -> list[GivenObject]:
        """The templates and ConfigMaps that are kept."""
        kept = (*self.templates, self.config_maps)
        return [cast("GivenObject", item) for each in kept for item in each.briefs()[1]]

    def lint(self, given: GivenObject) -> None:
        """Raises RefusedError TIP298 as :meth:`check`; RequestError 422 with what Argo's validation says of it."""
        problem = check_source(self.source(given), argo=self.options.argo)
        if problem:
            raise RequestError(422, problem)

    def keep(self, kept: KeptObjects, given: GivenObject, *, dry: bool = False) -> Workflow:
        """Keep a new object. Raises RequestError 422 for a name that none can have, and as :meth:`check` and
        :meth:`KeptObjects.create`."""
        metadata = {**(given.get("metadata") or {})}
        if not metadata.get("name") and (prefix := metadata.get("generateName")):
            metadata["name"] = generated_name(str(prefix), random.Random())
            given = cast("GivenObject", {**given, "metadata": metadata})
        name = str(metadata.get("name") or "")
        problem = subdomain_problem(name) if name else "Required value"
        if problem:
            raise RequestError(422, invalid(kept.kind, name, "metadata.name", name, problem))
        self.check(given)
        return self._as_created(given, name) if dry else kept.create(given)

    def replace(self, kept: KeptObjects, name: str, given: GivenObject, *, dry: bool = False) -> Workflow:
        """Keep another in its place. Raises as :meth:`check` and :meth:`KeptObjects.replace`."""
        self.check(given)
        return cast("Workflow", given) if dry else kept.replace(name, given)

    def discard(self, kept: KeptObjects, name: str, *, orphan: bool = False) -> Workflow:
        """Remove what was kept, and the runs that belong to it, unless they are to be orphans; one that runs is ended.
        Raises RequestError 404, and as :func:`tiphys.server.verbs.delete`.

        Source: garbage collection of Kubernetes, by ``ownerReferences``.
        """
        gone = kept.delete(name)  # first: nothing that is due begins another
        uid = gone["metadata"].get("uid")
        owned = [
            run["metadata"]["name"]
            for run in self.board.briefs()[1]
            if any(each.get("uid") == uid for each in run["metadata"].get("ownerReferences") or ())
        ]
        for each in owned if not orphan else ():
            self.delete(each)
        if owned:
            self.board.look()
        return gone

    def create(self, given: GivenObject, *, dry: bool = False) -> Workflow:
        """Take a Workflow, which an engine of its own then runs; with ``dry`` only what would be kept, as the API
        server answers. Raises as :meth:`Submissions.create`, RequestError 409 where there is one of its name."""
        name = str((given.get("metadata") or {}).get("name") or "")
        if name and self.board.get(name) is not None:
            raise RequestError(409, f'workflows.argoproj.io "{name}" already exists', "AlreadyExists")
        given = self._with_defaults(given)
        name = self.submissions.create(given, self.context(), dry=dry)
        if not dry:
            self.board.look(name)
        found = self.board.get(name)
        return found if found is not None else self._as_created(given, name)

    def delete(self, name: str, *, archive: bool = True) -> None:
        """Delete a run, which ends first; where there is an archive, what it came to is kept there, unless ``archive``
        is false. Raises as :func:`tiphys.server.verbs.delete`."""
        delete(name, self.runs, self.submissions, self._kept() if archive else None)

    def delete_ended(self, name: str) -> None:
        """As :meth:`delete`, of a run that has ended: one that somebody has begun again is left alone. Raises as
        :func:`tiphys.server.verbs.delete_ended`."""
        delete_ended(name, self.runs, self._kept())

    def _kept(self) -> RunArchive | None:
        return self.archive if self.settings().archive else None

    def _with_defaults(self, given: GivenObject) -> GivenObject:
        settings, spec = self.settings(), given.get("spec") or {}
        if not settings.defaults or not isinstance(spec, dict):
            return given  # which is refused, with what is wrong
        reference = spec.get("workflowTemplateRef") or {}
        template = None
        if name := str(reference.get("name") or ""):
            template = self.templates[1 if reference.get("clusterScope") else 0].get(name)
            if template is None:
                return given  # which is told when it begins
        return settings.applied(given, cast("GivenObject | None", template))

    def _as_created(self, given: GivenObject, name: str) -> Workflow:
        """What would be kept, as the API server answers a dry run."""
        metadata = {**(given.get("metadata") or {}), "name": name, "namespace": self.board.namespace}
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": rfc3339(time.time())}
        return cast("Workflow", {**given, "metadata": metadata})
