"""Which versions are to be served, and in which order they are asked: what a server makes of a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tiphys.frozen import frozen
from tiphys.registry.document import ModelDocument

__all__ = ["CHAMPION", "Routes", "routes"]

CHAMPION = "champion"  # the alias that answers who names nothing
_EARLIER = 2  # versions that are kept loaded behind each alias


@frozen
class Routes:
    """``chains``: for each alias, and ``""`` for who names none, versions: the first that is loaded and well answers.
    ``weights``: parts of a hundred of the requests that name nothing, by version."""

    chains: Mapping[str, tuple[int, ...]]
    weights: Mapping[int, int]

    @property
    def versions(self) -> tuple[int, ...]:
        """All that are to be loaded."""
        return tuple(sorted({each for chain in self.chains.values() for each in chain} | set(self.weights)))


def routes(document: ModelDocument, champion: str = CHAMPION) -> Routes:
    """What is served of a document: what its aliases name, then what they named before, then its default. Without the
    alias ``champion`` the newest version answers who names nothing."""
    chains = {}
    for alias, state in document.aliases.items():
        if state.version is not None:
            earlier = [each for each in reversed(state.undo) if each not in (None, state.version)]
            chains[alias] = _chain([state.version, *dict.fromkeys(earlier[: 2 * _EARLIER])], document)
    newest = [each.number for each in reversed(document.versions)]
    chains[""] = chains.get(champion) or _chain(newest[: 1 + _EARLIER], document)
    return Routes(chains, dict(document.weights))


def _chain(versions: Sequence[int | None], document: ModelDocument) -> tuple[int, ...]:
    found = [each for each in versions if each is not None][: 1 + _EARLIER]
    last = [] if document.default is None else [document.default]
    return tuple(dict.fromkeys([*found, *last]))
