"""SavedModels: loaded, warmed up and run by TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tiphys.net.protobuf import WireError
from tiphys.serving.model.meta_graph import signatures
from tiphys.serving.model.servable import Code, ModelError, Servable, Signature, Tensor
from tiphys.serving.model.tf_library import Session, available
from tiphys.serving.model.warmup import warm_up

__all__ = ["SavedModelServable", "load"]


class SavedModelServable:
    """A SavedModel in TensorFlow's C library. Raises ModelError with TensorFlow's own words."""

    def __init__(self, path: Path) -> None:
        self._session = Session(path)
        try:
            self._signatures = signatures(self._session.meta_graph)
        except WireError as error:
            self._session.close()
            raise ModelError(Code.DATA_LOSS, f"{path}: the signatures cannot be read: {error}") from error

    @property
    def signatures(self) -> Mapping[str, Signature]:
        return self._signatures

    def run(self, signature: str, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        definition = self._signatures[signature]
        feeds = {definition.inputs[name].name: tensor for name, tensor in inputs.items()}
        names = list(definition.outputs)
        values = self._session.run(feeds, [definition.outputs[name].name for name in names])
        return dict(zip(names, values, strict=True))

    def close(self) -> None:
        self._session.close()


def load(path: Path) -> Servable:
    """A Loader: the SavedModel in a folder, warmed up."""
    if not (path / "saved_model.pb").exists() and not (path / "saved_model.pbtxt").exists():
        raise ModelError(
            Code.NOT_FOUND,
            f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}",
        )
    servable: Servable
    if available():
        servable = SavedModelServable(path)
    else:
        from tiphys.serving.model.session import SessionServable

        servable = SessionServable(path)
    try:
        warm_up(servable, path)
    except BaseException:
        servable.close()
        raise
    return servable
