"""What the server counts, for Prometheus: its runs, its answers, and itself; Argo Server's names where it has some."""

from __future__ import annotations

import os
import resource
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.prometheus import Histogram, labelled

if TYPE_CHECKING:
    from tiphys.server.board import Board

__all__ = ["ServerCounts"]

_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds, as Go's client has them


class ServerCounts:
    """Since the server began. Used from the event loop alone."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._took: dict[tuple[str, str], Histogram] = {}
        self._rpc = Histogram(_BOUNDS, digits=6)
        self._codes: Counter[tuple[str, str]] = Counter()
        self._asked: Counter[int] = Counter({200: 0, 500: 0, 503: 0})

    def took(self, api: str, method: str, status: int, seconds: float, *, rpc: bool = False) -> None:
        """An answer began after so many seconds. ``api``: ``kube``, ``argo`` or ``page``; ``rpc``: asked by gRPC."""
        self._took.setdefault((api, method), Histogram(_BOUNDS, digits=6)).add(seconds)
        self._codes[api, str(status)] += 1
        if rpc:
            self._rpc.add(seconds)

    def page(self) -> bytes:
        """Everything, in Prometheus' text format."""
        lines = ["# TYPE tiphys_workflows gauge"]
        phases = Counter(
            str((each.get("status") or {}).get("phase") or "Pending") for each in self._board.briefs()[1]
        )
        lines += [
            f"tiphys_workflows{labelled([('phase', phase)])} {count}"
            for phase, count in sorted(phases.items())
        ]
        lines.append("# TYPE tiphys_server_requests_total counter")
        lines += [
            f"tiphys_server_requests_total{labelled([('api', api), ('code', code)])} {count}"
            for (api, code), count in sorted(self._codes.items())
        ]
        lines.append("# TYPE tiphys_server_request_seconds histogram")
        for (api, method), found in sorted(self._took.items()):
            lines += found.lines("tiphys_server_request_seconds", [("api", api), ("method", method)])
        lines.append("# TYPE grpc_server_handling_seconds histogram")
        lines += self._rpc.lines("grpc_server_handling_seconds")
        lines.append("# TYPE promhttp_metric_handler_requests_in_flight gauge")
        lines.append("promhttp_metric_handler_requests_in_flight 1")
        lines.append("# TYPE promhttp_metric_handler_requests_total counter")
        lines += [
            f"promhttp_metric_handler_requests_total{labelled([('code', str(code))])} {count}"
            for code, count in sorted(self._asked.items())
        ]
        self._asked[200] += 1
        used = resource.getrusage(resource.RUSAGE_SELF)
        lines.append("# TYPE process_cpu_seconds_total counter")
        lines.append(f"process_cpu_seconds_total {used.ru_utime + used.ru_stime:.2f}")
        lines.append("# TYPE process_resident_memory_bytes gauge")
        lines.append(f"process_resident_memory_bytes {_resident(used.ru_maxrss << 10)}")
        return ("\n".join(lines) + "\n").encode()


def _resident(most: int) -> int:
    """Bytes that are resident now; where the system does not say, the most there were."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return most
