"""SavedModels, run by TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tiphys.net.protobuf import WireError
from tiphys.serving.model.meta_graph import signatures
from tiphys.serving.model.servable import Code, ModelError, SessionOptions, Signature, Tensor
from tiphys.serving.model.tf_library import Session

__all__ = ["SavedModelServable"]


class SavedModelServable:
    """A SavedModel in TensorFlow's C library. Raises ModelError with TensorFlow's own words."""

    def __init__(self, path: Path, options: SessionOptions | None = None) -> None:
        self._session = Session(path, wanted=options)
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
