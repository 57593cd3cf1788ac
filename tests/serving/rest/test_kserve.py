"""KServe's V1 where it is not TensorFlow Serving's REST API, and that nothing of it is there unasked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tiphys.serving import ServingClient, serve
from tiphys.serving.model.manager import ModelConfig
from tiphys.serving.server import ModelServer

Start = Callable[..., ModelServer]
Ask = Callable[..., Any]


def test_models_and_whether_they_are_ready(
    model_server: Start, add_version: Callable[..., Path], tmp_path: Path, ask: Ask
) -> None:
    base = add_version(1).parent
    server = model_server(kserve=True, models=[ModelConfig("m", base), ModelConfig("grüß", base)])
    url = server.url
    assert ask(url, "GET", "/v1/models").json == {"models": ["m", "grüß"]}
    for path, name in (("m", "m"), ("gr%C3%BC%C3%9F", "grüß")):
        answer = ask(url, "GET", f"/v1/models/{path}")
        assert (answer.status, answer.json) == (200, {"name": name, "ready": True})
    missing = ask(url, "GET", "/v1/models/other")
    assert missing.status == 404 and "other" in missing.error

    async def unload() -> None:
        server.manager._start_unload(server.manager.known("m")[0])

    server.run(unload())
    gone = ask(url, "GET", "/v1/models/m")
    assert (gone.status, gone.error) == (503, "Model m is not ready")
    assert ask(url, "GET", "/v1/models").json == {"models": ["m", "grüß"]}


def test_the_rest_is_tensorflow_servings(model_server: Start, ask: Ask) -> None:
    url, plain = model_server(kserve=True).url, model_server().url
    body = json.dumps({"instances": [1.0, 2.0]})
    for method, path, sent in (
        ("POST", "/v1/models/m:predict", body),
        ("GET", "/v1/models/m/metadata", None),
        ("GET", "/v1/models/m/versions/1", None),
        ("GET", "/v1/models/m/versions/9", None),
        ("GET", "/v2/models/m", None),
    ):
        one, other = (ask(each, method, path, sent) for each in (url, plain))
        assert (one.status, one.body) == (other.status, other.body)
    assert ask(url, "GET", "/v1/models/m/versions").body == ask(plain, "GET", "/v1/models/m").body


def test_unasked_nothing_of_it_is_there(model_server: Start, ask: Ask) -> None:
    url = model_server().url
    assert (ask(url, "GET", "/v1/models").status, ask(url, "GET", "/v1/models/m/versions").status) == (
        400,
        400,
    )
    assert [*ask(url, "GET", "/v1/models/m").json] == ["model_version_status"]


@pytest.mark.parametrize("replicas", [1, 2])
def test_replicas_of_it_change_versions_together(
    add_version: Callable[..., Path], ask: Ask, until: Any, replicas: int
) -> None:
    base = add_version(1).parent
    flags = ["--tiphys_loader=tiphys.serving.model.fake:load", "--tiphys_protocol=kserve-v1"]
    with serve(base, "m", port=0, replicas=replicas, flags=flags) as serving:
        assert ask(serving.url, "GET", "/v1/models/m").json == {"name": "m", "ready": True}
        with ServingClient(serving.url, "m") as client:
            assert [each.version for each in client.status()] == [1]
            add_version(2, base, offset=7)
            until(lambda: client.predict(instances=[2.0]) == [8.0])
            assert client.wait_ready(5).version == 2
