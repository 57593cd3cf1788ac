"""Everything that is attacked, by name."""

from __future__ import annotations

from tests.fuzz.archives import FILES
from tests.fuzz.documents import DOCUMENTS
from tests.fuzz.stores import STORES
from tests.fuzz.texts import LANGUAGES, Target

__all__ = ["TARGETS"]

TARGETS: dict[str, Target] = {each.name: each for each in (*DOCUMENTS, *LANGUAGES, *FILES, *STORES)}
