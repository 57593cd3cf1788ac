"""The logs of a run or a step: each worker in a column, found in, and followed."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup, escape
from starlette.routing import Route

from tiphys.argo.nodes import ACTIVE, origin
from tiphys.runs.local.logs import GrowingLog
from tiphys.server.page.feed import events
from tiphys.server.views.parts import link

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from tiphys.argo.types import Workflow
    from tiphys.server.page.frame import Frame

__all__ = ["NAV", "marked", "routes"]

NAV = None
_LINES = 2000  # of a log that are shown; the last ones
_COLUMNS = 60
_PERIOD = 0.4  # seconds between two looks at logs that grow


def _files(folder: Path, workflow: Workflow, step: str) -> Iterator[tuple[str, Path]]:
    """The logs that there are, by the names of steps, and of containers beside ``main``; ``step``: only those of this
    node and its attempts."""
    name, nodes = workflow["metadata"]["name"], (workflow.get("status") or {}).get("nodes") or {}
    wanted = {step, *(nodes[step].get("children") or ())} if step in nodes else {step}
    for path in sorted(folder.glob("*.log"), key=lambda each: each.name):
        pod, container = path.name.removesuffix(".log"), ""
        if pod not in nodes and pod.rpartition(".")[0] in nodes:
            pod, _, container = pod.rpartition(".")
        if step and not any(pod == each or pod.startswith(f"{each}-") for each in wanted):
            workers = nodes.get(step, {}).get("templateName", "")
            if not workers or f"-{step}-" not in f"-{pod}-":
                continue
        title = origin(nodes[pod], name) if pod in nodes else pod.removeprefix(f"{name}-")
        yield f"{title} · {container}" if container else title, path


def _lines(log: GrowingLog, *, last: bool) -> list[str]:
    """Those that are new, of very many the last."""
    with contextlib.suppress(OSError):
        return [line.decode(errors="replace") for line in deque(log.lines(last=last), _LINES)]
    return []


def marked(lines: list[str], word: str) -> str:
    """Lines, or those of them that have a word, which is marked; escaped."""
    if not word:
        return escape("\n".join(lines) + "\n" if lines else "")
    low = word.lower()
    parts = []
    for line in lines:
        at, whole = 0, Markup("")
        while (place := line.lower().find(low, at)) >= 0:
            end = place + len(word)
            whole += escape(line[at:place]) + Markup("<mark>") + escape(line[place:end]) + Markup("</mark>")
            at = end
        if at:
            parts.append(whole + escape(line[at:]))
    return Markup("\n").join(parts)


def routes(frame: Frame) -> list[Route]:
    def folder(workflow: Workflow) -> Path:
        return frame.desk.board.store.run(workflow["metadata"]["name"]) / "logs"

    def every(request: Request) -> Response:
        workflow, run = frame.desk.run(request.path_params["name"])
        step, word = request.query_params.get("step", ""), request.query_params.get("word", "")
        shown = []
        files = list(_files(folder(workflow), workflow, step))
        for name, path in files[:_COLUMNS]:
            lines = _lines(GrowingLog(path), last=True)
            shown.append((name, marked(lines, word), len(lines)))
        base = link("runs", run.name)
        follow = run.phase in ACTIVE and not word
        return frame.show(
            request,
            "logs.html",
            title=f"Logs · {run.name}",
            run=run,
            base=base,
            step=step,
            word=word,
            logs=[(name, frame.drawn(text), many) for name, text, many in shown],
            left_out=max(len(files) - _COLUMNS, 0),
            most=_LINES,
            follow=link("runs", run.name, "logs", "feed", step=step) if follow else "",
        )

    async def feed(request: Request) -> Response:
        workflow, _ = await asyncio.to_thread(frame.desk.run, request.path_params["name"])
        name, step = workflow["metadata"]["name"], request.query_params.get("step", "")

        async def lines() -> AsyncIterator[bytes]:
            known: dict[Path, GrowingLog] = {}
            first = True
            while not await request.is_disconnected():
                now = await asyncio.to_thread(frame.desk.board.get, name)
                over = now is None or (now.get("status") or {}).get("phase") not in ("", *ACTIVE)
                said: dict[str, list[str]] = {}
                for title, path in await asyncio.to_thread(
                    lambda at: list(_files(folder(workflow), at, step)), now or workflow
                ):
                    log = known.setdefault(path, GrowingLog(path))
                    fresh = await asyncio.to_thread(_lines, log, last=over)
                    if fresh and not first:
                        said[title] = fresh
                first = False
                if said:
                    yield f"data: {json.dumps(said, ensure_ascii=False)}\n\n".encode()
                if over:
                    yield b"event: end\ndata: {}\n\n"
                    return
                await asyncio.sleep(_PERIOD)

        return events(lines())

    return [Route("/ui/runs/{name}/logs", every), Route("/ui/runs/{name}/logs/feed", feed)]
