"""Runs on this machine behind the verbs of :class:`tiphys.Client`: ``Client(store=".tiphys")``."""

from tiphys.runs.local.backend import LocalRuns
from tiphys.runs.local.detach import detach

__all__ = ["LocalRuns", "detach"]
