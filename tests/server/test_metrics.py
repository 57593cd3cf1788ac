"""What Prometheus scrapes."""

from __future__ import annotations

import re
from pathlib import Path

from tests.server.running import HELLO, server

_LINE = re.compile(r'(?:# (?:TYPE|HELP) .+|[a-z_:]+(?:\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)*\})? \S+)')


def values(text: str) -> dict[str, float]:
    """Each sample of the text format (prometheus.io, exposition_formats)."""
    assert all(_LINE.fullmatch(line) for line in text.splitlines()), text
    samples = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def test_runs_answers_and_the_server_itself_are_counted(tmp_path: Path) -> None:
    with server(tmp_path / "store") as running:
        for _ in range(2):
            running.until(running.submit(HELLO), "Succeeded")
        running.ask("GET", "/api/v1/workflows/argo/no-such-run")
        running.ask("GET", "/api/v1/workflows/argo")
        answer = running.ask("GET", "/metrics")
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        found = values(answer.text)
        assert found['tiphys_workflows{phase="Succeeded"}'] == 2
        assert found['tiphys_server_requests_total{api="kube",code="201"}'] == 2
        assert found['tiphys_server_requests_total{api="argo",code="404"}'] == 1
        count = found['tiphys_server_request_seconds_count{api="argo",method="GET"}']
        assert count == 2 == found['tiphys_server_request_seconds_bucket{api="argo",method="GET",le="+Inf"}']
        assert found["grpc_server_handling_seconds_count"] == 0
        assert found["process_cpu_seconds_total"] > 0 and found["process_resident_memory_bytes"] > 1e6
        assert found['promhttp_metric_handler_requests_total{code="200"}'] == 0
        again = values(running.ask("GET", "/metrics").text)
        assert again['promhttp_metric_handler_requests_total{code="200"}'] == 1
        assert running.ask("GET", "/metrics", headers={"Authorization": ""}).status_code == 403
