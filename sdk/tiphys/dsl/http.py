"""A request to a server as a step, without a pod of its own: Argo's HTTP template."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

from tiphys.compiler.line import Site, caller
from tiphys.dsl.composed import guard
from tiphys.dsl.context import CallableTemplate
from tiphys.dsl.literals import literal
from tiphys.dsl.names import check_name
from tiphys.dsl.pod import Defaults
from tiphys.dsl.retry import Retry
from tiphys.dsl.template import input_parameters
from tiphys.dsl.types import Field, fields_of
from tiphys.dsl.values import Input
from tiphys.errors import DefinitionError, did_you_mean
from tiphys.jsontypes import JsonObject

if TYPE_CHECKING:
    from tiphys.argo.pod_types import HTTPHeader, HTTPTemplate
    from tiphys.argo.types import Template

__all__ = ["Http", "http"]

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_WITH_BODY = ("POST", "PUT", "PATCH")
_RESERVED = "%!\"#$&'()*+,/:;<=>?@[\\]^`{|} \t\r\n"
"""What a URL's part must not hold as it is; the percent sign first."""
_NAMED = re.compile(r"\{(\w+)\}")


class Http(CallableTemplate):
    """A request as a template. Make one with :func:`http`; its call makes a task with the output ``result``."""

    def __init__(
        self,
        url: str,
        method: str,
        inputs: Mapping[str, object],
        headers: Mapping[str, str | tuple[str, str]],
        success: str,
        timeout: int,
        retry: Retry | None,
        name: str,
        site: Site,
    ) -> None:
        super().__init__(
            name,
            fields_of(inputs, f"the input of {name}", site),
            [Field("result", "result", str, result=True)],
            site=site,
        )
        self.method, self.success, self.seconds, self.retry = method, success, timeout, retry
        if not isinstance(url, str) or not re.match(r"https?://[^/\s]", url):
            raise _refused("TIP101", f"{name} asks {url!r}", "give a URL, https://…", site)
        if method not in _METHODS:
            near = did_you_mean(str(method), _METHODS)
            raise _refused(
                "TIP105", f"{name}: method={method!r}.{near}", f"one of {', '.join(_METHODS)}", site
            )
        self.url, self.headers = guard(url, f"the URL of {name}", site), dict(headers)
        named = [match[1] for match in _NAMED.finditer(url)]
        known = {f.python: f for f in self.inputs}
        for each in named:
            if each not in known:
                raise _refused(
                    "TIP103",
                    f"the URL of {name} names the input {each!r}, which there is not.{did_you_mean(each, known)}",
                    f"inputs are: {', '.join(known) or 'none'}",
                    site,
                )
        self.sent = [f for f in self.inputs if f.python not in named]
        if self.sent and method not in _WITH_BODY:
            raise _refused(
                "TIP103",
                f"{name}: the input {self.sent[0].python!r} is not in the URL, and a {method} has no body",
                f"write it into the URL: {url}?{self.sent[0].python}={{{self.sent[0].python}}}, or send a POST",
                site,
            )
        if isinstance(timeout, bool) or not isinstance(timeout, int) or timeout < 1:
            raise _refused("TIP109", f"{name}: timeout={timeout!r}", "give whole seconds, at least 1", site)
        self.told = [self._header(key, value, site) for key, value in self.headers.items()]

    def _header(self, name: str, value: str | tuple[str, str], site: Site) -> HTTPHeader:
        if isinstance(value, tuple) and len(value) == 2:
            secret = check_name(value[0], "a Secret", site)
            return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": value[1]}}}
        if not isinstance(value, str):
            raise _refused(
                "TIP105",
                f"{self.name}: the header {name!r} is {value!r}",
                'give text, or where it is in a Secret: ("the-secret", "its-key")',
                site,
            )
        return {"name": name, "value": guard(value, f"the header {name!r} of {self.name}", site)}

    def body(self, defaults: Defaults) -> JsonObject:
        template: Template = {"name": self.name}
        if self.inputs:
            template["inputs"] = {"parameters": input_parameters(self.inputs, self.site)}  # type: ignore[typeddict-item]
        if self.retry is not None:
            template["retryStrategy"] = self.retry.strategy()  # type: ignore[typeddict-item]
        names = {f.python: f.name for f in self.inputs}
        url = _NAMED.sub(lambda m: _encoded(Input(names[m[1]])), self.url)
        request: HTTPTemplate = {"url": url, "method": self.method, "timeoutSeconds": self.seconds}
        headers = list(self.told)
        if self.sent:
            request["body"] = "{" + ", ".join(f"{json.dumps(f.python)}: {_json(f)}" for f in self.sent) + "}"
            if not any(each["name"].lower() == "content-type" for each in headers):
                headers.append({"name": "Content-Type", "value": "application/json"})
        if headers:
            request["headers"] = headers
        if self.success:
            request["successCondition"] = self.success
        template["http"] = request
        return cast("JsonObject", template)


def http(
    url: str,
    method: Method = "GET",
    *,
    inputs: Mapping[str, object] | None = None,
    headers: Mapping[str, str | tuple[str, str]] | None = None,
    success: str = "",
    timeout: int = 30,
    retry: Retry | None = None,
    name: str = "http",
) -> Http:
    """A request as a step: ``tell = http("https://hooks.example/{team}", "POST", inputs={"team": str, "text": str})``.

    An input that the URL names in braces stands there, encoded; the others are the fields of the JSON object that is
    sent. A header is text, or the name and key of a Secret. The answer is the output ``result``, and the step succeeds
    when its status is 2xx, or when ``success`` says so (expr-lang over ``response.statusCode``, ``response.body`` and
    ``response.headers``). ``timeout`` is in seconds. On a cluster Argo's agent sends it, in one pod for the workflow.

    Raises DefinitionError: TIP101 not a URL, TIP103 an input that there is not or that is not sent, TIP105 a method or
    header of another kind, TIP109 a timeout that is none.
    """
    given = (inputs or {}, headers or {}, success, timeout, retry, name, caller())
    return Http(url, method, *given)


def _encoded(value: Input) -> str:
    """An input inside a URL; neither expr-lang nor Sprig has a function that escapes it."""
    pairs = literal([[sign, f"%{ord(sign):02X}"] for sign in _RESERVED])
    return "{{=reduce(" + pairs + ", replace(#acc, #[0], #[1]), " + value.expr() + ")}}"


def _json(field: Field) -> str:
    """An input inside the JSON that is sent: text as a string, the rest is JSON as it comes."""
    value = Input(field.name)
    return value.tag() if field.type not in (str, Any) else "{{=toJson(" + value.expr() + ")}}"


def _refused(code: str, message: str, fix: str, site: Site) -> DefinitionError:
    return DefinitionError(code, message, where=str(site), fix=fix)
