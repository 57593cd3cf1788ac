"""What MLflow 3.17.2 takes as a name (its mlflow/utils/validation.py), written here anew."""

from __future__ import annotations

import posixpath
import re


def takes(key: str) -> bool:
    """Whether the server takes it as the name of a metric, a parameter or a tag."""
    norm = posixpath.normpath(key)
    unique = norm == key and norm != "." and not norm.startswith(("..", "/"))
    return bool(re.match(r"^[/\w.\- :]*$", key)) and unique and len(key) <= 250
