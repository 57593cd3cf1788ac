"""A run as it goes on: a live table on a terminal, one line for each change elsewhere. Written to stderr."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any, TextIO

from tiphys.argo.nodes import is_step, label, state
from tiphys.cli._common import Style, seconds
from tiphys.cli.times import elapsed
from tiphys.engine.base.observations import (
    CacheChecked,
    LogLine,
    NodeChanged,
    Notice,
    Observation,
    ReplicaChanged,
    RunFinished,
    RunStarted,
)
from tiphys.lazy import regex
from tiphys.terminal import plain

if TYPE_CHECKING:
    from tiphys.argo.types import Node

__all__ = ["LineProgress", "TableProgress"]

_GLOG = regex(r"[IWEF]\d{4} |\d{4}-\d\d-\d\d .*: [IWEF] ")  # what a native library says of itself
_COUNTS = regex(r"(?i)\bepoch\b|\b\d+ ?/ ?\d+\b|\b\d{1,3}(\.\d+)? ?%")  # how far a step has come
_FOLLOWER = regex(r"-worker-[1-9]\d*\Z")  # says what worker 0 of its gang says
_LINE = 1 << 17  # characters of a line of a log: the engine gives no longer ones
_PAUSE = 1.0  # seconds between two such lines of one step
_SYMBOLS = {
    "Pending": "◷",
    "Running": "●",
    "Succeeded": "✔",
    "Skipped": "○",
    "Omitted": "○",
    "Failed": "✖",
    "Error": "⚠",
}


class LineProgress:
    """One line for each thing that happens: for logs and pipes.

    With ``logs`` also all that the steps write; without, the lines in which a step tells how far it has come (an
    epoch, 3/10, 40 %), one a second of each step at most.
    """

    def __init__(self, stream: TextIO | None = None, *, logs: bool = False) -> None:
        self.stream = stream or sys.stderr
        self.style = Style(self.stream)
        self.logs = logs
        self.workflow = ""
        self.begin = time.time()
        self._told: dict[str, float] = {}
        self._labels: dict[str, str] = {}
        self._lock = threading.Lock()

    def __call__(self, seen: Observation) -> None:
        text = self.describe(seen)
        if text:
            with self._lock:
                self.stream.write(f"{self.style.dim(_clock(seen.at - self.begin))}  {text}\n")
                self.stream.flush()

    def describe(self, seen: Observation) -> str:
        """The line for an observation, empty when it is not worth one."""
        style = self.style
        if isinstance(seen, RunStarted):
            self.workflow, self.begin = seen.name, seen.at
            return f"{style.bold(plain(seen.name))} {'continues' if seen.resumed else 'starts'}"
        if isinstance(seen, NodeChanged):
            self._labels[str(seen.node.get("id"))] = label(seen.node, self.workflow)
            return self._node(seen) if is_step(seen.node) else ""
        if isinstance(seen, CacheChecked) and seen.why:
            return style.yellow(plain(f"cache {seen.cache}: not used: {seen.why}"))
        if isinstance(seen, ReplicaChanged) and seen.state != "succeeded":
            tail = f": {seen.message}" if seen.message else ""
            names = " ".join(dict.fromkeys(map(self._short, (seen.name, seen.replica))))
            return style.dim(plain(f"{seen.kind} {names} {seen.state}{tail}"))
        if isinstance(seen, LogLine) and (self.logs or self._news(seen)):
            return f"{style.cyan(plain(self._writer(seen.source)))} | {plain(_last(seen.text), _LINE)}"
        if isinstance(seen, Notice):
            return style.yellow(plain(seen.text))
        return ""

    def _writer(self, source: str) -> str:
        """Who wrote a line: the step as the other lines call it, with the container where it is not the main one."""
        node, _, container = source.rpartition(".")
        if source in self._labels:
            return self._labels[source]
        return f"{self._labels[node]}.{container}" if node in self._labels else self._short(source)

    def _short(self, name: str) -> str:
        return name.removeprefix(self.workflow).lstrip(".-") or name

    def _news(self, seen: LogLine) -> bool:
        if not _COUNTS.search(seen.text) or _GLOG.match(seen.text) or _FOLLOWER.search(seen.source):
            return False
        if seen.at - self._told.get(seen.source, 0.0) < _PAUSE:
            return False
        self._told[seen.source] = seen.at
        return True

    def _node(self, seen: NodeChanged) -> str:
        node, style = seen.node, self.style
        name = plain(label(node, self.workflow)).ljust(28)
        message = plain(str(node.get("message") or ""))
        if seen.change == "started":
            return f"{name} started"
        if seen.change == "waiting":
            return f"{name} {style.yellow('waits')}    {message}"
        if seen.change == "hit":
            return f"{name} {style.cyan('hit')}"
        if seen.change == "finished":
            phase = state(node)
            if phase in ("Skipped", "Omitted"):  # planned branches that were not taken: no news
                return ""
            colour = style.red if phase in ("Failed", "Error") else style.green
            return f"{name} {colour(phase.lower())}  {message}".rstrip()
        return ""

    def close(self) -> None:
        """Nothing is kept open."""


class TableProgress:
    """A table that is redrawn in place, with what is running, waiting and done."""

    def __init__(self, stream: TextIO | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self.stream = stream or sys.stderr
        self.console = Console(file=self.stream, highlight=False)
        self.workflow = ""
        self.begin = time.time()
        self.nodes: dict[str, Node] = {}
        self.last: dict[str, str] = {}
        self._widest = 1
        self._lock = threading.Lock()
        self.live = Live(
            get_renderable=self._render, console=self.console, refresh_per_second=4, transient=True
        )
        self.live.start()

    def __call__(self, seen: Observation) -> None:
        with self._lock:
            if isinstance(seen, RunStarted):
                self.workflow, self.begin = seen.name, seen.at
            elif isinstance(seen, NodeChanged) and is_step(seen.node):
                self.nodes[str(seen.node["id"])] = seen.node.copy()
                self._widest = max(self._widest, len(label(seen.node, self.workflow)))
            elif isinstance(seen, LogLine) and seen.text.strip() and not _GLOG.match(seen.text):
                self.last[seen.source] = _last(seen.text).strip()
        if isinstance(seen, Notice):
            self.live.console.print(f"[yellow]{_plain(seen.text)}[/]")
        elif isinstance(seen, CacheChecked) and seen.why:
            self.live.console.print(f"[yellow]cache {seen.cache}: not used: {_plain(seen.why)}[/]")
        elif isinstance(seen, ReplicaChanged) and seen.state in ("restarted", "failed"):
            text = f"{seen.kind} {seen.name} {seen.replica} {seen.state} {seen.message}"
            self.live.console.print(f"[yellow]{_plain(text)}[/]")
        elif isinstance(seen, RunFinished):
            self.close()

    def close(self) -> None:
        self.live.stop()

    def _render(self) -> Any:
        from rich.table import Table

        view = Table(box=None, padding=(0, 1), show_header=False, expand=False)
        view.add_column(no_wrap=True, min_width=1)
        view.add_column(no_wrap=True, min_width=min(self._widest, self.console.width // 2))
        view.add_column(justify="right", no_wrap=True, min_width=6)
        view.add_column(overflow="ellipsis", no_wrap=True, style="dim")  # the one that gives way
        now = time.time()
        with self._lock:
            nodes = [node for node in self.nodes.values() if state(node) not in ("Skipped", "Omitted")]
            room = max(5, self.console.height - 3)
            for node in _most_interesting(nodes, room):
                phase = state(node)
                colour = _COLOURS.get(phase, "white")
                view.add_row(
                    f"[{colour}]{_SYMBOLS.get(str(node.get('phase')), '·')}[/]",
                    _plain(label(node, self.workflow)),
                    seconds(elapsed(node, now)) if phase != "hit" else "hit",
                    _plain(self._remark(node)),
                )
        title = f"[bold]{_plain(self.workflow)}[/]  {_clock(now - self.begin)}"
        outer = Table(box=None, padding=0, show_header=False)
        outer.add_row(title)
        outer.add_row(view)
        return outer

    def _remark(self, node: Node) -> str:
        if node.get("message"):
            return str(node["message"])
        if node.get("phase") != "Running":
            return ""
        name = label(node, self.workflow)
        short = name.split(".")[-2 if name.endswith(".train") else -1] if "." in name else name
        for source, text in reversed(self.last.items()):
            if source == name or source.startswith((f"{self.workflow}-{short}", name)):
                return text
        return ""


_COLOURS = {
    "Pending": "yellow",
    "Running": "cyan",
    "Succeeded": "green",
    "hit": "blue",
    "Failed": "red",
    "Error": "red",
}


def _most_interesting(nodes: list[Node], room: int) -> list[Node]:
    """All nodes when they fit; otherwise what runs, waits or failed, then the newest of the rest."""
    if len(nodes) <= room:
        return nodes
    active = [node for node in nodes if node.get("phase") in ("Running", "Pending", "Failed", "Error")]
    rest = [node for node in nodes if node.get("phase") not in ("Running", "Pending", "Failed", "Error")]
    left = room - len(active[:room])
    return rest[len(rest) - left :] + active[:room]


def _clock(value: float) -> str:
    whole = max(0, int(value))
    return f"{whole // 60:3d}:{whole % 60:02d}"


def _last(text: str) -> str:
    """What is left on a terminal of a line that was written over, as progress bars do."""
    return text.replace("\b", "").rpartition("\r")[2]


def _plain(text: str) -> str:
    """Without control characters and rich markup."""
    return plain(text).replace("\n", " ").replace("[", "\\[")
