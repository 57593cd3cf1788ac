"""What is served follows the registry: nobody notices a move, and another version stands in for one that errs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.serving.conftest import Load, until
from tiphys.errors import RefusedError, ServingError
from tiphys.reference import seal
from tiphys.runs.registry import Registry
from tiphys.runs.served import Followed
from tiphys.serving import ServingClient
from tiphys.serving.local import serve
from tiphys.serving.model import fake
from tiphys.store import Store

FAKE = "--tiphys_loader=tiphys.serving.model.fake:load"
BODY = b'{"instances": [0.0]}'


def model(store: Path, name: str, **config: Any) -> str:
    folder = Store(store).volume("tiphys") / "models" / name / "1"
    folder.mkdir(parents=True)
    (folder / "fake.json").write_text(json.dumps(config))
    seal(folder.parent)
    return f"pvc://tiphys/models/{name}"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Versions 1 and 2, which answer with their numbers; 2 is the champion, 1 was."""
    made = Registry(tmp_path)
    for number in (1, 2):
        made.register("m", model(tmp_path, f"v{number}", offset=number))
        made.alias("m", "champion", number)
    return made


@pytest.fixture
def start(tmp_path: Path, registry: Registry) -> Iterator[Callable[[], str]]:
    with ExitStack() as stack:

        def begin() -> str:
            source = Followed(Store(tmp_path), "m")
            serving = serve(source.folder, "m", port=0, replicas=1, flags=[FAKE], source=source)
            return stack.enter_context(serving).url

        yield begin


def answer(url: str, **options: Any) -> float:
    with ServingClient(url, "m", **options) as client:
        (value,) = client.predict(instances=[0.0])
    assert isinstance(value, float)
    return value


def test_moves_and_rollbacks_under_load_fail_no_request(
    tmp_path: Path, registry: Registry, start: Callable[[], str]
) -> None:
    url = start()
    registry.register("m", model(tmp_path, "v3", offset=3))
    with Load(url, BODY, "/v1/models/m:predict", 2) as traffic:

        def last() -> float:
            traffic.more(4)
            return float(json.loads(traffic.answers[-1])["predictions"][0])

        assert last() == 2
        registry.alias("m", "champion", 3)
        until(lambda: last() == 3)
        registry.rollback("m", "champion")
        until(lambda: last() == 2)
        registry.rollback("m", "champion")
        until(lambda: last() == 1)
    assert traffic.failures == []
    assert answer(url, label="champion") == 1
    registry.alias("m", "next", 3)
    until(lambda: _labelled(url, "next") == 3)
    assert answer(url) == 1


def _labelled(url: str, label: str) -> float | None:
    try:
        return answer(url, label=label)
    except ServingError:
        return None


def test_another_version_stands_in_for_one_that_cannot_be_loaded_or_errs(
    tmp_path: Path, registry: Registry, start: Callable[[], str]
) -> None:
    url = start()
    registry.register("m", model(tmp_path, "broken", nothing="that a model knows"))
    registry.register("m", model(tmp_path, "erring", fail="boom"))
    registry.register("m", model(tmp_path, "v5", offset=5))
    with Load(url, BODY, "/v1/models/m:predict", 2) as traffic:
        for number in (3, 4):
            registry.alias("m", "champion", number)
            until(lambda number=number: str(number) in _states(url))  # type: ignore[misc]
            traffic.more(20)
        registry.alias("m", "champion", 5)
        until(lambda: json.loads(traffic.answers[-1])["predictions"] == [5.0])
    assert traffic.failures == []
    assert {json.loads(each)["predictions"][0] for each in traffic.answers} == {2.0, 5.0}


def _states(url: str) -> dict[str, str]:
    with ServingClient(url, "m") as client:
        states = {str(row.version): row.state for row in client.status()}
    return {number: state for number, state in states.items() if state in ("AVAILABLE", "END")}


def test_weights_part_the_requests(registry: Registry, start: Callable[[], str]) -> None:
    registry.weights("m", {1: 50, 2: 50})
    url = start()
    assert {answer(url) for _ in range(40)} == {1.0, 2.0}
    assert {answer(url, label="champion") for _ in range(10)} == {2.0}


def test_what_was_changed_since_it_was_registered_is_not_served(tmp_path: Path, registry: Registry) -> None:
    store, said = Store(tmp_path), list[str]()
    (store.volume("tiphys") / "models" / "v2" / "1" / "fake.json").write_text('{"offset": 9}')
    followed = Followed(store, "m", report=said.append)
    followed.read()
    assert sorted(each.name for each in followed.folder.iterdir()) == ["1"]
    assert len(said) == 1 and said[0].startswith("version 2 is not served: ") and "fake.json" in said[0]
    assert fake.load(followed.folder / "1").offset == 1
    (store.volume("tiphys") / "models" / "v1" / "manifest.json").unlink()
    with pytest.raises(ServingError, match="TIP519"):
        Followed(store, "m", champion="other").read()


def test_what_nobody_registered_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="TIP261"):
        Followed(Store(tmp_path), "m").read()
    with pytest.raises(RefusedError, match="TIP260"):
        Followed(Store(tmp_path), "m", champion="v1")
