"""``retryStrategy``: attempts under a Retry node."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tiphys.argo.any_string import any_string
from tiphys.argo.names import pod_name
from tiphys.engine.machine.bodies.body import Body
from tiphys.engine.machine.bodies.call import Call
from tiphys.engine.machine.library import Compiled
from tiphys.engine.machine.nodes import fulfilled
from tiphys.expr.durations import parse_named, round_to_text
from tiphys.expr.evaluate import ExprError, compile_expression, evaluate_bool
from tiphys.expr.gotext import atoi
from tiphys.expr.tags import Layers, environment
from tiphys.lazy import regex

if TYPE_CHECKING:
    from tiphys.argo.types import Node, NodeFlag, RetryStrategy


__all__ = ["Retrying"]

_TRANSIENT = regex(
    r"transient|TLS handshake timeout|i/o timeout|connection (refused|reset by peer)|etcdserver: request timed out",
    re.IGNORECASE,
)


class Retrying:
    """The Retry node of a run and its attempts."""

    __slots__ = ("attempts", "body", "first_started", "run", "stopping", "strategy")

    def __init__(self, run: Call, strategy: RetryStrategy) -> None:
        self.run = run
        self.strategy = strategy
        self.attempts: list[Node] = []
        self.body: Body | None = None
        self.first_started = 0.0
        self.stopping: tuple[str, str] | None = None

    def start(self) -> None:
        """Create the Retry node and the first attempt."""
        run = self.run
        if run.node is None:
            flag: NodeFlag | None = {**run.flag, "retried": True} if run.flag else None
            run.create_node(run.name, "Retry", phase="Running", flag=flag)
        else:
            run.state.nodes.mark(run.node, "Running", "")
        self._adopt()
        self._next()

    def _adopt(self) -> None:
        """Go on after the attempts of an earlier run; one that was opened again is made again under its number."""
        nodes, node = self.run.state.nodes, self.run.node
        assert node is not None
        earlier = [nodes.by_id[child] for child in node.get("children") or ()]
        attempts = [child for child in earlier if (child.get("nodeFlag") or {}).get("retried")]
        if attempts:
            self.first_started = nodes.started[attempts[0]["id"]]
            self.attempts = attempts if fulfilled(attempts[-1]) else attempts[:-1]

    def _next(self) -> None:
        run, number = self.run, len(self.attempts)
        state = run.state
        if run.done:
            return
        if not state.gate.admit_attempt(run, self._next):
            return
        assert run.node is not None and run.compiled is not None
        name = f"{run.name}({number})"
        local = {"retries": str(number), **self._last(number)}
        if run.node_type_of_body() == "Pod":
            local["pod.name"] = pod_name(
                state.name, state.nodes.take_id(name), str(run.template.get("name") or "")
            )
        from tiphys.engine.machine.arguments import substitute_template

        attempt = Compiled(run.template)
        template = substitute_template(
            attempt,
            run.template.get("inputs") or {},
            Layers(local, state.globals.moving, state.globals.values),
        )
        body = run.state.make_body(run, name, template, None, number)
        run.attempt_inputs = template.get("inputs")
        self.body = body
        body.start()
        state.nodes.add_child(run.node, body.node["id"])
        self.attempts.append(body.node)
        if number == 0:
            self.first_started = state.nodes.started[body.node["id"]]

    def _last(self, number: int) -> dict[str, str]:
        if number == 0:
            return {
                "lastRetry.exitCode": "0", "lastRetry.status": "", "lastRetry.duration": "0", "lastRetry.message": "",
            }  # fmt: skip
        return self._last_scope()

    def _last_scope(self) -> dict[str, str]:
        node = self.attempts[-1]
        code = (node.get("outputs") or {}).get("exitCode")
        return {
            "lastRetry.exitCode": code if code is not None else "-1",
            "lastRetry.status": node["phase"],
            "lastRetry.duration": str(int(self.run.state.nodes.duration(node))),
            "lastRetry.message": node.get("message", ""),
        }

    def daemoned(self, body: Body) -> None:
        """The attempt is a daemon that is up: so is the Retry node."""
        node = self.run.node
        assert node is not None
        node["daemoned"] = True
        if body.node.get("podIP"):
            node["podIP"] = body.node["podIP"]
        self.run.state.nodes.touch(node)
        self.run.daemoned()

    def attempt_done(self, body: Body) -> None:
        """Decide: done, wait, or another attempt."""
        run, state, last = self.run, self.run.state, body.node
        node = run.node
        assert node is not None
        run.owner.run_changed(run)
        if last["phase"] not in ("Failed", "Error"):
            self._end(last["phase"], "")
            return
        if self.stopping is not None:
            self._end(*self.stopping)
            return
        if state.shutdown and not (run.on_exit and state.shutdown == "Stop"):
            self._end(last["phase"], f"Stopped with strategy '{state.shutdown}'")
            return
        if state.deadline_passed and not run.on_exit:
            self._end(last["phase"], f"retry exceeded workflow deadline {state.deadline_text()}")
            return
        try:
            wait = self._backoff()
        except ValueError as error:
            self._error(str(error))
            return
        if isinstance(wait, str):
            self._end(last["phase"], wait)
            return
        if wait > 0:
            state.nodes.mark(node, node["phase"], f"Backoff for {round_to_text(wait)}")
            state.backing_off[self] = None
            state.timer(state.nodes.finished[last["id"]] + wait, f"retry/{node['id']}", self._judge)
            return
        self._judge()

    def _limit(self) -> int | None:
        value = self.strategy.get("limit")
        if value is None:
            return None
        limit = atoi(any_string(value))
        if limit is None:
            raise ValueError(f"value '{value}' cannot be resolved to an int")
        return limit

    def _backoff(self) -> float | str:
        """Return the seconds to wait, or the message with which to give up."""
        backoff = self.strategy.get("backoff")
        if not backoff:
            return 0.0
        now, number = self.run.state.now, len(self.attempts)
        longest = 0.0
        if backoff.get("maxDuration"):
            longest = parse_named(str(backoff["maxDuration"]))
            if now > self.first_started + longest:
                return "Max duration limit exceeded"
        if not backoff.get("duration"):
            raise ValueError("no base duration specified for retryStrategy")
        wait = parse_named(str(backoff["duration"]))
        factor = backoff.get("factor")
        if factor is not None and int(factor) > 0:
            wait *= int(factor) ** (number - 1)
        if backoff.get("cap"):
            wait = min(wait, parse_named(str(backoff["cap"])))
        finished = self.run.state.nodes.finished[self.attempts[-1]["id"]]
        if longest and finished + wait > self.first_started + longest:
            return "Backoff would exceed max duration limit"
        limit = self._limit()
        if limit is None or number > limit:
            return 0.0
        return max(wait, 0.0) if now < finished + wait else 0.0

    def shut_down(self, message: str) -> None:
        """End a wait between attempts."""
        if not self.run.done:
            self.run.state.backing_off.pop(self, None)
            self._end("Failed", message)

    def _policy(self) -> str:
        return str(
            self.strategy.get("retryPolicy") or ("Always" if self.strategy.get("expression") else "OnFailure")
        )

    def covers_errors(self) -> bool:
        """Return whether an attempt that could not even begin counts as an attempt."""
        return self._policy() in ("Always", "OnError", "OnTransientError")

    def _judge(self) -> None:
        run, state = self.run, self.run.state
        state.backing_off.pop(self, None)
        if run.done:
            return
        node, last = run.node, self.attempts[-1]
        assert node is not None
        if state.shutdown and not (run.on_exit and state.shutdown == "Stop"):
            self._end(last["phase"], f"Stopped with strategy '{state.shutdown}'")
            return
        policy = self._policy()
        allowed = {
            "Always": True,
            "OnFailure": last["phase"] == "Failed",
            "OnError": last["phase"] == "Error",
            "OnTransientError": self._transient(last),
        }.get(policy)
        if allowed is None:
            self._error(f"{policy} is not a valid RetryPolicy")
            return
        if not allowed:
            self._end(last["phase"], last.get("message", ""))
            return
        try:
            limit = self._limit()
            if limit is not None and len(self.attempts) > limit:
                self._end(last["phase"], "No more retries left")
                return
            if self.strategy.get("expression") and not self._expression():
                self._end(last["phase"], "retryStrategy.expression evaluated to false")
                return
        except (ValueError, ExprError) as error:
            self._error(str(error))
            return
        run.state.nodes.mark(node, "Running", "")
        state.metrics.take(run.template.get("metrics"), last)
        self._next()

    def _transient(self, last: Node) -> bool:
        return bool(_TRANSIENT.search(last.get("message", "")))

    def _expression(self) -> bool:
        values = {"retries": str(len(self.attempts) - 1), **self._last_scope()}
        program = compile_expression(str(self.strategy["expression"]))
        return evaluate_bool(program, environment(program, Layers(values)))

    def _error(self, message: str) -> None:
        run = self.run
        assert run.node is not None
        run.state.nodes.mark(self.attempts[-1], "Error", message)
        run.fail(message)

    def _end(self, phase: str, message: str) -> None:
        run, last = self.run, self.attempts[-1]
        node = run.node
        assert node is not None
        if last.get("outputs"):
            node["outputs"] = last["outputs"]
        node.pop("daemoned", None)
        run.state.nodes.mark(node, phase, message)
        run.finish()

    def stop(self, phase: str, message: str) -> None:
        """End the current attempt and make no other."""
        self.stopping = (phase, message)
        body, run = self.body, self.run
        assert run.node is not None
        if body is not None and body.node["phase"] in ("Pending", "Running"):
            body.stop(phase, message)
        elif not run.done:
            run.state.nodes.mark(run.node, phase, message)
            run.finish()
