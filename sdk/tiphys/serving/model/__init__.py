"""What is served: the ``Servable`` interface, its implementations, versions and batching.

Nothing here imports TensorFlow but :mod:`tiphys.serving.model.saved_model`, and that only when a SavedModel
is loaded.
"""

from __future__ import annotations

from tiphys.serving.model.servable import (
    Code,
    Loader,
    ModelError,
    Servable,
    Signature,
    Tensor,
    TensorInfo,
)

__all__ = ["Code", "Loader", "ModelError", "Servable", "Signature", "Tensor", "TensorInfo"]
