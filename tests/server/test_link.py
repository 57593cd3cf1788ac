"""A link to the page of a server that runs."""

from __future__ import annotations

from pathlib import Path

import requests

from tests.server.running import server
from tiphys.server.link import one_time_link


def test_who_can_read_the_token_has_a_link_while_the_server_runs(tmp_path: Path) -> None:
    folder = tmp_path / "store" / "server"
    assert one_time_link(folder) == ""
    with server(tmp_path / "store") as running:
        link = one_time_link(folder)
        entered = requests.get(link, verify=running.certificate, timeout=30)
        assert entered.status_code == 200 and "Secure" in entered.headers["set-cookie"]
    assert one_time_link(folder) == ""
