"""Versions of a model: what is loaded, what answers, and that nobody notices a change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tiphys.errors import ServingError
from tiphys.serving.client import ServingClient
from tiphys.serving.model import Code, ModelError
from tiphys.serving.model.manager import ModelConfig
from tiphys.serving.server import ModelServer
from tiphys.serving.versions import version_folders

Start = Callable[..., ModelServer]
Add = Callable[..., Path]


def states(server: ModelServer) -> dict[int, str]:
    with ServingClient(server.url, "m") as client:
        return {row.version: row.state for row in client.status()}


def predict(server: ModelServer, **options: Any) -> float:
    with ServingClient(server.url, "m", **options) as client:
        (value,) = client.predict(instances=[0.0])
    assert isinstance(value, float)
    return value


def test_a_new_version_takes_over_and_the_old_one_is_unloaded(
    model_server: Start, add_version: Add, until: Any
) -> None:
    add_version(1, offset=1)
    server = model_server()
    assert predict(server) == 1
    add_version(2, offset=2)
    server.poll()
    assert predict(server) == 2
    until(lambda: states(server) == {1: "END", 2: "AVAILABLE"})
    with pytest.raises(ServingError) as caught:
        predict(server, version=1)
    assert caught.value.cause == "Servable not found for request: Specific(m, 1)"


def test_swapping_versions_under_load_fails_no_request(
    model_server: Start, add_version: Add, load: Any
) -> None:
    add_version(1, offset=1, delay=0.002)
    server = model_server()
    with load(server.url, b'{"instances": [0.0]}') as traffic:
        traffic.more(20)
        for number in (2, 3, 4):
            add_version(number, offset=number, delay=0.002)
            server.poll()
            traffic.more(20)
    assert traffic.failures == []
    seen = {json.loads(answer)["predictions"][0] for answer in traffic.answers}
    assert seen == {1, 2, 3, 4}
    last = [json.loads(answer)["predictions"][0] for answer in traffic.answers[-8:]]
    assert set(last) == {4}


def test_swapping_with_batching_under_load_fails_no_request(
    model_server: Start, add_version: Add, load: Any
) -> None:
    from tiphys.serving.model.batching import BatchParameters

    add_version(1, offset=1, delay=0.002)
    server = model_server(batching=BatchParameters(enabled=True, num_batch_threads=2))
    with load(server.url, b'{"instances": [0.0]}', clients=8) as traffic:
        traffic.more(50)
        add_version(2, offset=2, delay=0.002)
        server.poll()
        traffic.more(50)
    assert traffic.failures == []
    (version,) = [v for v in server.manager.known("m") if v.runner is not None]
    assert version.runner is not None
    assert version.runner.batches < version.runner.batched_rows  # some were merged


def test_a_broken_version_leaves_the_old_one_serving(
    model_server: Start, add_version: Add, until: Any
) -> None:
    add_version(1, offset=1)
    server = model_server()
    broken = add_version(2, nonsense=True)
    server.poll()
    assert states(server) == {1: "AVAILABLE", 2: "END"}
    assert predict(server) == 1
    with ServingClient(server.url, "m", version=2) as client:
        (row,) = client.status()
        assert row.error_code == "INVALID_ARGUMENT" and "nonsense" in row.error_message
    server.poll()  # the same broken folder is not loaded again and again
    assert server.manager.known("m")[1].attempts == 1
    (broken / "fake.json").write_text('{"offset": 2.0, "delay": 0}')  # repaired
    server.poll()
    assert predict(server) == 2


def test_removing_the_newest_version_is_a_rollback(model_server: Start, add_version: Add, until: Any) -> None:
    add_version(1, offset=1)
    second = add_version(2, offset=2)
    server = model_server()
    assert predict(server) == 2
    assert states(server) == {2: "AVAILABLE"}
    shutil.rmtree(second)
    server.poll()
    assert predict(server) == 1
    until(lambda: states(server) == {1: "AVAILABLE", 2: "END"})


def test_a_base_path_that_vanishes_changes_nothing(model_server: Start, add_version: Add) -> None:
    base = add_version(1, offset=1).parent
    server = model_server()
    shutil.rmtree(base)
    server.poll()
    assert predict(server) == 1


def test_names_that_are_no_versions_are_left_alone(
    model_server: Start, add_version: Add, tmp_path: Path
) -> None:
    base = add_version(7, offset=7).parent
    for name in ("latest", "1.5", "-3", "٣", ".9", "9" * 200):
        (base / name).mkdir()
    (base / "8").write_text("a file")
    (base / "manifest.json").write_text("{}")
    add_version(9, base / "latest")
    server = model_server()
    assert states(server) == {7: "AVAILABLE"}


def test_leading_zeros(model_server: Start, add_version: Add) -> None:
    base = add_version(1, offset=1).parent
    (base / "1").rename(base / "00000123")
    assert states(model_server()) == {123: "AVAILABLE"}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, {3: "AVAILABLE"}),
        ({"latest": 2}, {2: "AVAILABLE", 3: "AVAILABLE"}),
        ({"latest": 0}, {1: "AVAILABLE", 2: "AVAILABLE", 3: "AVAILABLE"}),
        ({"versions": (1, 3, 9)}, {1: "AVAILABLE", 3: "AVAILABLE"}),
    ],
)
def test_version_policies(
    model_server: Start,
    add_version: Add,
    tmp_path: Path,
    until: Any,
    policy: dict[str, Any],
    expected: dict[int, str],
) -> None:
    for number in (1, 2, 3):
        add_version(number, offset=number)
    server = model_server(models=[ModelConfig("m", tmp_path / "model", **policy)])
    until(lambda: states(server) == expected)
    assert predict(server) == 3


def test_labels(model_server: Start, add_version: Add, tmp_path: Path, until: Any) -> None:
    for number in (1, 2):
        add_version(number, offset=number)
    config = ModelConfig("m", tmp_path / "model", latest=0, labels={"stable": 1, "canary": 2})
    server = model_server(models=[config])
    until(lambda: len(states(server)) == 2)
    assert predict(server, label="stable") == 1
    assert predict(server, label="canary") == 2


def test_several_models(model_server: Start, add_version: Add, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    add_version(1, one, offset=1)
    add_version(5, two, offset=5)
    server = model_server(models=[ModelConfig("m", one), ModelConfig("n", two)])
    with ServingClient(server.url, "n") as client:
        assert client.predict(instances=[0.0]) == [5.0]
        assert client.status()[0].version == 5
    assert predict(server) == 1


def test_a_server_whose_only_version_is_broken_does_not_start(model_server: Start, add_version: Add) -> None:
    add_version(1, nonsense=True)
    with pytest.raises(ServingError) as caught:
        model_server()
    assert caught.value.code == "TIP516"
    assert "version 1 of model m cannot be loaded" in caught.value.cause


def test_an_unloaded_version_is_closed_only_when_its_requests_have_ended(
    model_server: Start, add_version: Add, load: Any, until: Any
) -> None:
    """FakeServable answers INTERNAL once it is closed: a request on a closed version would be seen."""
    add_version(1, delay=0.05)
    server = model_server()
    with load(server.url, clients=3) as traffic:
        traffic.more(3)
        add_version(2, delay=0.05)
        server.poll()
        until(lambda: states(server)[1] == "END")
        traffic.more(3)
    assert traffic.failures == []


# ---- a new configuration
def reconfigure(server: ModelServer, *models: ModelConfig) -> None:
    server.run(server.manager.reconfigure([*models]))


def test_repointing_a_label_under_load_fails_no_request(
    model_server: Start, add_version: Add, tmp_path: Path, load: Any
) -> None:
    for number in (1, 2):
        add_version(number, offset=number)
    config = ModelConfig("m", tmp_path / "model", latest=0, labels={"stable": 1})
    server = model_server(models=[config])
    with load(server.url, b'{"instances": [0.0]}', "/v1/models/m/labels/stable:predict") as traffic:
        for number in (2, 1, 2):
            traffic.more(30)
            reconfigure(server, ModelConfig("m", tmp_path / "model", latest=0, labels={"stable": number}))
        traffic.more(30)
    assert traffic.failures == []
    answers = [json.loads(answer)["predictions"][0] for answer in traffic.answers]
    assert (answers[0], answers[-1], set(answers)) == (1, 2, {1, 2})


def test_a_label_moves_only_to_a_version_that_is_there(
    model_server: Start, add_version: Add, tmp_path: Path
) -> None:
    base = add_version(1, offset=1).parent
    server = model_server(models=[ModelConfig("m", base, labels={"stable": 1})])
    with pytest.raises(ModelError) as caught:
        reconfigure(server, ModelConfig("m", base, labels={"stable": 2}))
    assert caught.value.code is Code.FAILED_PRECONDITION
    assert "label to version 2 of model m, which is not currently available" in caught.value.message
    assert predict(server, label="stable") == 1
    add_version(2, base, offset=2)  # the new version is loaded first, then the label moves
    reconfigure(server, ModelConfig("m", base, labels={"stable": 2}))
    assert predict(server, label="stable") == 2


def test_pinning_an_older_version_is_a_rollback(
    model_server: Start, add_version: Add, tmp_path: Path, load: Any
) -> None:
    for number in (1, 2):
        add_version(number, offset=number)
    server = model_server()
    with load(server.url, b'{"instances": [0.0]}') as traffic:
        traffic.more(20)
        reconfigure(server, ModelConfig("m", tmp_path / "model", versions=(1,)))
        assert predict(server) == 1
        traffic.more(20)
    assert traffic.failures == []


def test_models_come_and_go(model_server: Start, add_version: Add, tmp_path: Path, until: Any) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    add_version(1, one, offset=1)
    add_version(2, two, offset=2)
    server = model_server(models=[ModelConfig("m", one)])
    reconfigure(server, ModelConfig("n", two))
    with ServingClient(server.url, "n") as client:
        assert client.predict(instances=[0.0]) == [2.0]
    with pytest.raises(ServingError, match="HTTP 404"):
        predict(server)
    until(lambda: states(server) == {1: "END"})
    reconfigure(server, ModelConfig("m", one), ModelConfig("n", two))
    assert predict(server) == 1


def test_a_new_model_that_cannot_be_loaded(model_server: Start, add_version: Add, tmp_path: Path) -> None:
    base = add_version(1, offset=1).parent
    server = model_server()
    broken = tmp_path / "broken"
    add_version(1, broken, nonsense=True)
    for other, part in ((broken, "nonsense"), (tmp_path / "none", "No version of model n")):
        with pytest.raises(ModelError, match=part):
            reconfigure(server, ModelConfig("m", base), ModelConfig("n", other))
        assert predict(server) == 1


def test_the_configuration_is_read_again(
    model_server: Start, add_version: Add, tmp_path: Path, until: Any
) -> None:
    for number in (1, 2):
        add_version(number, offset=number)
    base = tmp_path / "model"
    answers: list[Any] = [OSError("the disk is gone"), [ModelConfig("m", base, versions=(1,))]]

    def read() -> list[ModelConfig]:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    server = model_server(models=[ModelConfig("m", base)], reload=read, reload_seconds=0.01)
    assert predict(server) == 2
    until(lambda: predict(server) == 1)


def test_a_broken_version_in_another_folder_is_tried_once(
    model_server: Start, add_version: Add, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    add_version(1, one, offset=1)
    add_version(1, two, nonsense=True)
    server = model_server(models=[ModelConfig("m", one)])
    reconfigure(server, ModelConfig("m", two))
    server.poll()
    assert predict(server) == 1
    assert caplog.text.count("nonsense") == 1


def test_the_same_version_in_another_folder(
    model_server: Start, add_version: Add, tmp_path: Path, load: Any
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    add_version(1, one, offset=1)
    add_version(1, two, offset=2)
    server = model_server(models=[ModelConfig("m", one)])
    with load(server.url, b'{"instances": [0.0]}') as traffic:
        traffic.more(20)
        reconfigure(server, ModelConfig("m", two))
        assert predict(server) == 2
        traffic.more(20)
    assert traffic.failures == []


def test_versions_are_folders_named_by_numbers(tmp_path: Path) -> None:
    for name in ("1", "20", "²", "٣", "1a", "9" * 19, "-1"):
        (tmp_path / name).mkdir()
    (tmp_path / "3").touch()
    assert version_folders(tmp_path) == {1: tmp_path / "1", 20: tmp_path / "20"}
