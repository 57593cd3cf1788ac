"""``tiphys.Registry`` over the store of this machine: folders are looked at before an alias names them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import tiphys
from tiphys.errors import ClusterError, RefusedError
from tiphys.reference import seal
from tiphys.runs import Client, FakeTransport, Response
from tiphys.store import Store


def model(store: Path, name: str, text: str = "weights") -> str:
    """A sealed folder in a volume; its URI."""
    folder = Store(store).volume("tiphys") / "models" / name
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "saved_model.pb").write_text(text + name)
    seal(folder)
    return f"pvc://tiphys/models/{name}"


def two(store: Path) -> tiphys.Registry:
    registry = tiphys.Registry(store, who="ann")
    for name in ("a", "b"):
        registry.register("m", model(store, name), run="r", report={"accuracy": 0.91})
    return registry


def test_a_model_from_its_folder_to_its_alias_and_back(tmp_path: Path) -> None:
    registry = two(tmp_path)
    assert [each.number for each in registry.get("m").versions] == [1, 2]
    assert registry.register("m", "pvc://tiphys/models/a").number == 1  # it is that already
    registry.alias("m", "champion", 1)
    registry.alias("m", "champion", 2, why="better")
    assert registry.version("m", "champion").uri == "pvc://tiphys/models/b"
    registry.rollback("m", "champion")
    assert registry.version("m", "champion").number == 1
    assert [(row.who, row.before, row.after) for row in registry.audit("m")] == [
        ("ann", None, 1), ("ann", 1, 2), ("ann", 2, 1)
    ]  # fmt: skip
    assert registry.names() == ["m"]


def test_a_rollback_after_a_gc_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    registry = two(tmp_path)
    registry.alias("m", "champion", 1)
    registry.alias("m", "champion", 2)
    folder = Store(tmp_path).volume("tiphys") / "models" / "a"
    (folder / "1" / "saved_model.pb").write_text("weightsx")  # as long as it was
    before = registry.get("m")
    with pytest.raises(RefusedError, match="TIP263") as caught:
        registry.rollback("m", "champion")
    assert "another content" in caught.value.cause
    shutil.rmtree(folder)
    with pytest.raises(RefusedError, match="TIP263") as caught:
        registry.rollback("m", "champion")
    assert "missing" in caught.value.cause
    assert registry.get("m") == before
    model(tmp_path, "a")  # the same bytes are there again
    assert registry.rollback("m", "champion").aliases["champion"].version == 1


def test_what_is_no_model_is_no_version(tmp_path: Path) -> None:
    registry = two(tmp_path)
    with pytest.raises(RefusedError, match="TIP263"):
        registry.register("m", "pvc://tiphys/models/none")
    with pytest.raises(RefusedError, match="TIP263"):
        registry.register("m", "pvc://tiphys/models/a", digest="sha256:other")
    with pytest.raises(RefusedError, match=r"TIP261.*Did you mean 'm'"):
        registry.get("mm")
    with pytest.raises(RefusedError, match="TIP261"):
        registry.alias("other", "champion", 1)
    with pytest.raises(RefusedError, match="TIP260"):
        registry.register("No", "pvc://tiphys/models/a")
    assert registry.names() == ["m"]


def test_weights_and_default(tmp_path: Path) -> None:
    registry = two(tmp_path)
    assert registry.weights("m", {1: 90, 2: 10}).weights == {1: 90, 2: 10}
    assert registry.default("m", 1).default == 1


def test_the_registry_of_a_cluster_wants_digests_and_the_kubernetes_api() -> None:
    transport = FakeTransport(lambda request: Response.of({}, 404))
    with pytest.raises(ClusterError, match="TIP611"):
        tiphys.Registry(client=Client.argo_server(transport=transport))
    registry = tiphys.Registry(client=Client.kubernetes(transport=transport))
    with pytest.raises(RefusedError, match=r"TIP263.*without its digest"):
        registry.register("m", "pvc://tiphys/models/a")
