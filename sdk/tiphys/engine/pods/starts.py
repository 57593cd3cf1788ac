"""The starts of the containers of one pod: written down for the next engine, or taken over from a killed one."""

from __future__ import annotations

from collections.abc import Callable

from tiphys.engine.pods.host import Host
from tiphys.engine.pods.podspace import PodSpace
from tiphys.engine.runners.left import Earlier, LeftPod, Start
from tiphys.engine.runners.spawner import GROUP, STEP, Launch, Process

__all__ = ["Starts"]


class Starts:
    """Starts what outlives the engine.

    ``pod``: its name in the records; empty: nothing is written down, and all of the run ends with the engine.
    ``left``: what a killed engine had started of it, and goes on.
    """

    def __init__(self, host: Host, pod: str, space: PodSpace, left: LeftPod | None = None) -> None:
        self._host = host
        self._pod = pod
        self._space = space
        self._left = left
        self._generation = 0  # which making of the pod this is, once it is known
        if left is not None and host.left is not None:
            self._generation = left.generation
            host.left.claim(pod)
        self._count: dict[str, int] = {}  # how often each container was started

    def earlier(self, container: str) -> Earlier | None:
        """The next start of a container, if a killed engine made it."""
        nth = self._count.get(container, 0) + 1
        return self._left.find(container, nth) if self._left is not None else None

    def start(
        self, container: str, launch: Launch, over: Callable[[Process], None], *, serves: bool = False
    ) -> tuple[Process, Earlier | None]:
        """Start a container, or take it over as it is, running or ended; ``over`` is called when it has ended.

        ``serves``: it is a sidecar. The process, and what it was if a killed engine had started it.
        """
        earlier = self.earlier(container)
        nth = self._count[container] = self._count.get(container, 0) + 1
        ended: list[Callable[[], None]] = []

        def end(process: Process) -> None:
            for each in ended:
                each()
            over(process)

        if earlier is not None:
            process = self._host.spawner.adopt(earlier, end)
        else:
            note = self._note(container, nth, serves=serves)
            process = self._host.spawner.spawn(launch, end, bond=STEP if note else GROUP, note=note)
        # a container's client is not the container
        if self._space.node and not launch.kill and (earlier is None or earlier.alive):
            space = self._space
            ended.append(self._host.sampler.watch(process, space.node, space.worker, launch.out))
        return process, earlier

    def _note(self, container: str, nth: int, *, serves: bool) -> str:
        left = self._host.left
        if left is None or not self._pod:
            return ""
        self._generation = self._generation or left.next_generation(self._pod)
        folder, runner = self._space.folder.name, self._host.runner.name
        return Start(
            self._pod,
            self._generation,
            container,
            nth,
            folder,
            self._space.ip,
            runner,
            serves,
            left.child,
        ).note()
