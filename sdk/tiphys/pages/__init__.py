"""What a run did, on one page that needs no server."""

from __future__ import annotations

from tiphys.pages.report import report

__all__ = ["report"]
