"""Leaf templates without a process: http requests and data listings."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

from tiphys.argo.artifacts import key_of
from tiphys.argo.durations import pod_duration
from tiphys.engine.machine.protocol import PodFinished, PodPhase, StartPod
from tiphys.engine.pods.host import Host
from tiphys.engine.pods.reach import InsideHandler
from tiphys.errors import redacted
from tiphys.expr.evaluate import evaluate

if TYPE_CHECKING:
    from http.client import HTTPResponse

    from tiphys.argo.pod_types import HTTPHeader, HTTPTemplate
    from tiphys.argo.types import Outputs


__all__ = ["DataPod", "HttpPod"]

_ASCII = "".join(map(chr, range(128)))
_BODY_LIMIT = 64 << 20


class _ThreadPod:
    """Work that happens in a thread of the loop's pool."""

    def __init__(
        self,
        host: Host,
        command: StartPod,
        running: Callable[[str], None],
        done: Callable[[PodFinished], None],
    ) -> None:
        self.host = host
        self.command = command
        self.failure: tuple[PodPhase, str] | None = None
        self._running = running
        self._done = done
        self._finished = False
        self._began = 0.0

    def start(self) -> None:
        self._began = self.host.loop.now()
        self._running("")
        self.host.loop.in_thread(self._work, lambda result: self._end(*result), self._wrong)

    def stop(self, grace: float) -> None:
        self._end("Failed", "", None)

    def kill(self) -> None:
        self.stop(0)

    def _work(self) -> tuple[PodPhase, str, Outputs | None]:
        raise NotImplementedError

    def _wrong(self, error: BaseException) -> None:
        self._end("Error", str(error), None)

    def _end(self, phase: PodPhase, message: str, outputs: Outputs | None) -> None:
        if self._finished:
            return
        self._finished = True
        if self.failure is not None:
            phase, message = self.failure
        at = self.host.loop.now()
        used = self._resources(at)
        self._done(PodFinished(at, self.command.node_id, phase, redacted(message), outputs, resources=used))

    def _resources(self, at: float) -> dict[str, int]:
        """Of an http template there is no pod."""
        return {}


class HttpPod(_ThreadPod):
    """An http template: success is a 2xx answer, or what ``successCondition`` says."""

    def _work(self) -> tuple[PodPhase, str, Outputs | None]:
        spec = self.command.template["http"]
        method, url = str(spec.get("method") or "GET"), str(spec.get("url") or "")
        if not url.startswith(("http://", "https://")):
            return "Error", f'{method} "{url}": unsupported protocol scheme ""', None
        body = self._body(spec)
        # Go sends what is outside of ASCII as the bytes of UTF-8; urllib would refuse it
        request = urllib.request.Request(quote(url, safe=_ASCII), data=body, method=method)
        for item in spec.get("headers") or []:
            request.add_header(str(item["name"]), self._header(item))
        timeout = float(spec.get("timeoutSeconds") or 30)
        try:
            with self._opener(spec).open(request, timeout=timeout) as answer:
                status, headers, text = answer.status, answer.headers, self._read(answer)
        except urllib.error.HTTPError as error:
            status, headers, text = error.code, error.headers, self._read(error)
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            return "Error", f'{method[:1]}{method[1:].lower()} "{url}": {reason}', None
        answer_text = text.decode(errors="replace")
        outputs: Outputs = {"result": answer_text}
        condition = spec.get("successCondition")
        if condition:
            scope = {
                "request": {"method": method, "url": url, "body": (body or b"").decode(), "headers": {}},
                "response": {
                    "statusCode": status,
                    "body": answer_text,
                    "headers": {key: headers.get_all(key) for key in headers},
                },
            }
            good = evaluate(str(condition), scope)
            message = "" if good is True else f"successCondition '{condition}' evaluated false"
            return ("Succeeded" if good is True else "Failed"), message, outputs
        if not 200 <= status < 300:
            return "Failed", f"received non-2xx response code: {status}", outputs
        return "Succeeded", "", outputs

    def _opener(self, spec: HTTPTemplate) -> urllib.request.OpenerDirector:
        context = ssl._create_unverified_context() if spec.get("insecureSkipVerify") else None
        return urllib.request.build_opener(
            InsideHandler(self.host.network, context), urllib.request.HTTPSHandler(context=context)
        )

    def _read(self, answer: HTTPResponse | urllib.error.HTTPError) -> bytes:
        """Piece by piece: a server may never end, and the step may."""
        data = b""
        while not self._finished and len(data) < _BODY_LIMIT:
            piece = answer.read1(_BODY_LIMIT - len(data))
            if not piece:
                break
            data += piece
        return data

    def _body(self, spec: HTTPTemplate) -> bytes | None:
        source = spec.get("bodyFrom")
        if source:
            data = source.get("bytes")
            return None if data is None else str(data).encode()
        return str(spec["body"]).encode() if spec.get("body") else None

    def _header(self, item: HTTPHeader) -> str:
        reference = (item.get("valueFrom") or {}).get("secretKeyRef")
        if reference is None:
            return str(item.get("value") or "")
        data = self.host.objects.secret(str(reference.get("name"))) or {}
        return data.get(str(reference.get("key")), b"").decode()


class DataPod(_ThreadPod):
    """A data template: the keys below a prefix, through transformation expressions, as a JSON list."""

    def _resources(self, at: float) -> dict[str, int]:
        return pod_duration([({}, self._began or at, at)])

    def _work(self) -> tuple[PodPhase, str, Outputs | None]:
        spec = self.command.template["data"]
        source = (spec.get("source") or {}).get("artifactPaths") or {}
        if source.get("s3") and not source["s3"].get("bucket"):
            # unlike other artifacts, Argo does not look for these in the repository of the workflow
            words = "unable to process data template: unable to process data source: unable to source artifact paths"
            problem = f"{words}: failed to list directory: Bucket name cannot be empty"
            return "Failed", f"main: Error (exit code 64): {problem}", {"exitCode": "64"}
        data: object = self.host.store.bucket.keys(key_of(source))
        for step in spec.get("transformation") or []:
            data = evaluate(str(step.get("expression")), {"data": data})
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        return "Succeeded", "", {"result": text, "exitCode": "0"}
