"""From a folder to a model that answers: the SavedModel is loaded and warmed up."""

from __future__ import annotations

from pathlib import Path

from tiphys.serving.model.saved_model import SavedModelServable
from tiphys.serving.model.servable import Code, ModelError, Servable, SessionOptions
from tiphys.serving.model.tf_library import available
from tiphys.serving.warmup import warm_up

__all__ = ["load"]


def load(path: Path, options: SessionOptions | None = None, *, warm: bool = True) -> Servable:
    """A Loader: the SavedModel in a folder, warmed up (unless ``warm`` is false)."""
    if not (path / "saved_model.pb").exists() and not (path / "saved_model.pbtxt").exists():
        raise ModelError(
            Code.NOT_FOUND,
            f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}",
        )
    servable: Servable
    if available():
        servable = SavedModelServable(path, options)
    else:
        from tiphys.serving.model.session import SessionServable

        servable = SessionServable(path, options)
    try:
        if warm:
            warm_up(servable, path)
    except BaseException:
        servable.close()
        raise
    return servable
