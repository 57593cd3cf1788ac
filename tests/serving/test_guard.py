"""TLS and a token before the replicas, judged by other clients."""

from __future__ import annotations

import http.client
import importlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tiphys import serving
from tiphys.errors import ServingError
from tiphys.server.certificate import own_certificate
from tiphys.serving import Guard, ServingClient, serve
from tiphys.serving.balancer import Balancer, Settings

FAKE = "--tiphys_loader=tiphys.serving.model.fake:load"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("guard")
    certificate, key = own_certificate(folder, ["127.0.0.1", "localhost"])
    (folder / "token").write_text("s3cret\n")
    return {"certificate": str(certificate), "key": str(key), "token": str(folder / "token")}


@pytest.fixture
def guarded(files: dict[str, str], driver: str, tmp_path: Path) -> Iterator[serving.LocalServing]:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "fake.json").write_text("{}")
    with serve(
        tmp_path, "m", port=0, replicas=1, driver=driver, flags=[FAKE], guard=Guard.of_files(**files)
    ) as found:
        yield found


def test_who_has_the_token_is_answered_over_tls(guarded: Any, files: dict[str, str]) -> None:
    assert guarded.url.startswith("https://127.0.0.1:")
    path, body = f"{guarded.url}/v1/models/m:predict", {"instances": [1.0, 5.0]}

    def ask(**headers: str) -> requests.Response:
        return requests.post(path, json=body, headers=headers, verify=files["certificate"], timeout=30)

    assert ask(Authorization="Bearer s3cret").json() == {"predictions": [2.5, 4.5]}
    for headers in ({}, {"Authorization": "Bearer s3cre"}, {"Authorization": "Basic s3cret"}):
        refused = ask(**headers)
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert "s3cret" not in refused.text
    with ServingClient(guarded.url, "m", token="s3cret", certificate=files["certificate"]) as client:
        assert client.predict(instances=[2.0]) == [3.0]
    with (
        ServingClient(guarded.url, "m", token="s3cret") as client,
        pytest.raises(ServingError, match="cannot be reached") as told,
    ):
        client.predict(instances=[2.0])
    assert "certificate" in told.value.cause  # which nobody has signed
    plain = http.client.HTTPConnection(guarded.url.removeprefix("https://"), timeout=30)
    with pytest.raises((http.client.HTTPException, OSError)):
        plain.request("GET", "/v1/models/m")
        plain.getresponse()


def test_old_protocols_are_refused(files: dict[str, str]) -> None:
    guard = Guard.of_files(files["certificate"], files["key"])
    assert guard.tls is not None and guard.tls.minimum_version == ssl.TLSVersion.TLSv1_2
    assert Guard.of_files() == Guard() and Guard().tls is None
    with Balancer("127.0.0.1", 0, settings=Settings(guard=guard)) as balancer:
        assert balancer.url.startswith("https://")
        assert requests.get(balancer.url, verify=files["certificate"], timeout=30).status_code == 503


@pytest.mark.parametrize(
    ("names", "cause"),
    [
        ({"certificate": "nowhere.pem"}, "No such file"),
        ({"certificate": "token"}, "PEM"),
        ({"key": "key"}, "belongs to a certificate"),
        ({"token": "nowhere"}, "No such file"),
        ({"token": "empty"}, "one word"),
        ({"token": "two"}, "one word"),
    ],
)
def test_what_cannot_be_read_is_told(
    files: dict[str, str], tmp_path: Path, names: dict[str, str], cause: str
) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "two").write_text("two words\n")
    given = {name: files.get(value, str(tmp_path / value)) for name, value in names.items()}
    with pytest.raises(ServingError) as told:
        Guard.of_files(**given)
    assert told.value.code == "TIP529" and cause in told.value.cause


def test_every_public_name_is_there() -> None:
    for name in serving.__all__:
        assert getattr(importlib.import_module("tiphys.serving"), name).__name__ == name
