"""The registry of a namespace: a ConfigMap for each model, whose resourceVersion is the lock."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

from tiphys.errors import ClusterError, StoreError
from tiphys.registry.audit import PAGE, check_size, full_page, read_page
from tiphys.registry.configmap import DOCUMENT, MODEL_LABEL, PAGE_LABEL, document_map, page_object
from tiphys.registry.document import AuditRow, ModelDocument
from tiphys.registry.names import (
    NAME_LABEL,
    VERSION_LABEL,
    calls_service,
    check_model_name,
    config_map,
    deployment,
    page_map,
)
from tiphys.runs.cluster.transport import Request

if TYPE_CHECKING:
    from tiphys.registry.audit import AuditPage
    from tiphys.runs.cluster.calls import Caller

__all__ = ["ClusterRegistry"]

_TURNS = 200
_LONGEST_PAUSE = 0.5


class ClusterRegistry:
    """Through the Kubernetes API ``api``. Methods raise ClusterError, and StoreError TIP461 for what cannot be read."""

    def __init__(self, api: Caller, namespace: str, *, pause: Callable[[float], None] = time.sleep) -> None:
        self.api, self.namespace = api, namespace
        self._pause = pause
        self._base = f"/api/v1/namespaces/{quote(namespace)}/configmaps"

    @property
    def place(self) -> str:
        """Where it is, for a person."""
        return f"namespace {self.namespace} of {self.api.url}"

    def names(self) -> list[str]:
        """The models of which something is registered."""
        listing = Request("GET", self._base, {"labelSelector": MODEL_LABEL})
        found = self.api.json("list the registry", listing).get("items") or []
        return sorted(str(item["metadata"]["labels"][MODEL_LABEL]) for item in found)

    def read(self, name: str) -> ModelDocument:
        """The document of a model; an empty one where nothing is registered."""
        return self.versioned(name)[0]

    def versioned(self, name: str) -> tuple[ModelDocument, str]:
        """The same, and its resourceVersion, empty where there is no document."""
        check_model_name(name)
        item = self._get(config_map(name))
        if item is None:
            return ModelDocument(name), ""
        text = str((item.get("data") or {}).get(DOCUMENT) or "")
        return ModelDocument.read(text, name), str(item["metadata"]["resourceVersion"])

    def change(self, name: str, what: Callable[[ModelDocument], ModelDocument]) -> ModelDocument:
        """Write what ``what`` makes of the document; when another was faster it is asked again, of what that one has
        written. Raises what ``what`` raises, and ClusterError TIP606 when the others never end."""
        for turn in range(_TURNS):
            before, version = self.versioned(name)
            after = what(before)
            if after == before:
                return before
            page, after = full_page(after)
            check_size(after, after.text())
            if page is not None:
                self._keep(name, page)
            if self._written(name, after, version):
                return after
            # not all at once again
            self._pause(random.uniform(0, min(_LONGEST_PAUSE, 0.01 * 2 ** min(turn, 10))))
        raise ClusterError(
            "TIP606",
            f"the ConfigMap {config_map(name)} changes all the time",
            cause=f"each of {_TURNS} times somebody else had written it between reading and writing",
            fix="try again when fewer write",
        )

    def audit(self, name: str) -> list[AuditRow]:
        """Every change there was, the first one first."""
        document = self.read(name)
        rows: list[AuditRow] = []
        for number in range(1, document.archived // PAGE + 1):
            item = self._get(page_map(name, number))
            if item is None:
                raise StoreError(
                    "TIP461",
                    f"page {number} of the audit of {name} is gone",
                    where=f"ConfigMap {page_map(name, number)}",
                    cause="it was deleted by hand",
                )
            rows += read_page(str((item.get("data") or {}).get(DOCUMENT) or ""), number, name)
        return [*rows, *document.changes]

    # -- the Service of a name --------------------------------------------------------------------------------

    def unready(self, name: str, version: int) -> str:
        """Why requests cannot be sent to a version; empty when its replicas are ready, or no Service has the name."""
        if self._service(name, name) is None:
            return ""
        path = f"/apis/apps/v1/namespaces/{quote(self.namespace)}/deployments/{deployment(name, version)}"
        answer = self.api.send(f"look at version {version} of {name}", Request("GET", path), allowed=(404,))
        if answer.status == 404:
            return f"there is no Deployment {deployment(name, version)}"
        if not (answer.json().get("status") or {}).get("readyReplicas"):
            return f"no replica of the Deployment {deployment(name, version)} is ready"
        return ""

    def point(self, name: str, alias: str) -> None:
        """Point the Service of a name, if there is one, to the version that an alias names, wherever that goes; and the
        headless one beside it."""
        for service in (name, calls_service(name)):
            while (there := self._service(name, service)) is not None:
                state = self.read(name).aliases.get(alias)
                wanted = None if state is None or state.version is None else f"v{state.version}"
                if wanted is None or there == wanted:
                    break
                body = {"spec": {"selector": {VERSION_LABEL: wanted}}}
                self.api.send(
                    f"point the Service {service} to {wanted}",
                    Request("PATCH", self._service_path(service), {}, body, "application/merge-patch+json"),
                )

    def _service(self, name: str, service: str) -> str | None:
        """The version that a Service of the model is at; None where there is none that the registry has to do with."""
        answer = self.api.send(
            f"look at the Service {service}", Request("GET", self._service_path(service)), allowed=(403, 404)
        )
        if answer.status != 200:
            return None
        item = answer.json()
        if (item["metadata"].get("labels") or {}).get(NAME_LABEL) != name:
            return None
        return str((item["spec"].get("selector") or {}).get(VERSION_LABEL, ""))

    def _service_path(self, name: str) -> str:
        return f"/api/v1/namespaces/{quote(self.namespace)}/services/{quote(name)}"

    def _get(self, name: str) -> dict[str, dict[str, str]] | None:
        request = Request("GET", f"{self._base}/{quote(name)}")
        answer = self.api.send(f"read {name}", request, allowed=(404,))
        if answer.status == 404:
            return None
        found: dict[str, dict[str, str]] = answer.json()
        return found

    def _written(self, name: str, document: ModelDocument, version: str) -> bool:
        """False when the ConfigMap is no longer what it was at ``version``, or (for an empty one) is there already."""
        body = document_map(document, version)
        if version:
            request = Request("PUT", f"{self._base}/{quote(config_map(name))}", body=body)
        else:
            request = Request("POST", self._base, body=body)
        late = (404, 409) if version else (409,)
        return self.api.send(f"write {config_map(name)}", request, allowed=late).status not in late

    def _keep(self, name: str, page: AuditPage) -> None:
        """Raises StoreError TIP461 when another page has its name: that of a model that was deleted."""
        request = Request("POST", self._base, body=page_object(name, page))
        made = self.api.send(f"keep a page of the audit of {name}", request, allowed=(409,))
        if made.status != 409:
            return
        there = self._get(page_map(name, page.number))
        if there is not None and (there.get("data") or {}).get(DOCUMENT) != page.text:
            raise StoreError(
                "TIP461",
                f"page {page.number} of the audit of {name} is there already, with other changes",
                where=f"ConfigMap {page_map(name, page.number)}",
                cause="it is of a model of this name that was deleted",
                fix=f"kubectl delete configmap -l {PAGE_LABEL}={name}",
            )
