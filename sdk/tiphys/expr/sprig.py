"""The sprig functions that Argo offers in expressions as ``sprig.<name>`` (text, numbers, encodings).

Lists, dictionaries and dates are in :mod:`tiphys.expr.sprig_data`. What draws random
values is in :mod:`tiphys.expr.sprig_random`. Functions that read the environment or the network, and those
that make keys and certificates, are left out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import re
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tiphys.expr.gofmt import v
from tiphys.expr.gotext import (
    SPACES,
    atoi,
    from_bytes,
    matches,
    parse_float,
    quote,
    split_regex,
    sub_regex,
    to_bytes,
)
from tiphys.expr.lexer import ExprError
from tiphys.expr.operators import regex
from tiphys.expr.semver import compare_constraint, parse_version
from tiphys.expr.sprig_data import DATA, empty
from tiphys.expr.sprig_random import RANDOM
from tiphys.expr.sprig_text import TEXT

Value = Any

__all__ = ["LEFT_OUT", "SPRIG"]


def _int(value: Value) -> int:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (int, float)):
        return int(value)
    if isinstance(value, str) and value.isascii() and value == value.strip():
        try:
            return int(value, 0)
        except ValueError:
            return 0
    return 0


def _float(value: Value) -> float:
    if isinstance(value, str):
        return parse_float(value) or 0.0
    return float(value) if isinstance(value, (int, float)) else 0.0


def _octal(value: Value) -> int:
    text = v(value)
    return int(text, 8) if re.fullmatch(r"[+-]?[0-7]+", text, re.ASCII) else 0


def _split(separator: str, text: str, count: int = -1) -> list[str]:
    if separator:
        return text.split(separator, count - 1 if count > 0 else -1)
    runes = list(text)
    return runes if count < 0 or count >= len(runes) else [*runes[: count - 1], "".join(runes[count - 1 :])]


def _indent(spaces: int, text: str) -> str:
    pad = " " * spaces
    return pad + text.replace("\n", "\n" + pad)


def _quote(*values: Value) -> str:
    return " ".join(quote(v(value)) for value in values if value is not None)


def _squote(*values: Value) -> str:
    return " ".join(f"'{v(value)}'" for value in values if value is not None)


def _b64dec(text: str) -> str:
    try:
        return from_bytes(base64.b64decode(text, validate=True))
    except binascii.Error:
        good = re.match(r"[A-Za-z0-9+/]*", text)
        return f"illegal base64 data at input byte {good.end() if good else 0}"


def _b32dec(text: str) -> str:
    try:
        return from_bytes(base64.b32decode(text))
    except binascii.Error as error:
        return str(error)


def _round(value: Value, places: int, round_on: float = 0.5) -> float:
    power = 10.0**places
    digit = power * _float(value)
    fraction = math.modf(digit)[0]
    return (math.ceil(digit) if fraction >= round_on else math.floor(digit)) / power


def _ternary(yes: Value, no: Value, test: bool) -> Value:
    return yes if test else no


def _default(fallback: Value, *given: Value) -> Value:
    return fallback if not given or empty(given[0]) else given[0]


def _coalesce(*values: Value) -> Value:
    return next((value for value in values if not empty(value)), None)


def _fail(message: str) -> Value:
    raise ExprError(message)


def _divide(left: Value, right: Value) -> int:
    if _int(right) == 0:
        raise ExprError("runtime error: integer divide by zero")
    return int(_int(left) / _int(right)) if abs(_int(left)) < 2**52 else _int(left) // _int(right)


def _mod(left: Value, right: Value) -> int:
    if _int(right) == 0:
        raise ExprError("runtime error: integer divide by zero")
    return int(math.fmod(_int(left), _int(right)))


def _product(*values: Value) -> int:
    return math.prod(_int(value) for value in values)


def _split_map(separator: str, text: str) -> dict[str, str]:
    return {f"_{index}": part for index, part in enumerate(_split(separator, text))}


def _splitn(separator: str, count: int, text: str) -> dict[str, str]:
    return {f"_{index}": part for index, part in enumerate(_split(separator, text, count))}


def _url_parse(text: str) -> dict[str, str]:
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ExprError(
            f"unable to parse url: parse {quote(text)}: net/url: invalid control character in URL"
        )
    parts = urlsplit(text)
    user, at, host = parts.netloc.rpartition("@")
    return {
        "scheme": parts.scheme, "host": host, "hostname": host.partition(":")[0], "path": parts.path,
        "query": parts.query, "opaque": "", "fragment": parts.fragment, "userinfo": user if at else "",
    }  # fmt: skip


def _url_join(parts: dict[str, str]) -> str:
    user = parts.get("userinfo", "")
    host = f"{user}@{parts.get('host', '')}" if user else parts.get("host", "")
    fields = (parts.get("path", ""), parts.get("query", ""), parts.get("fragment", ""))
    return urlunsplit((parts.get("scheme", ""), host, *fields))


def _gen_private_key(kind: str) -> str:
    if kind in ("", "rsa", "dsa", "ecdsa", "ed25519"):
        raise ExprError("sprig.genPrivateKey makes no keys here")
    return f"Unknown type {kind}"


def _go_replacement(text: str) -> str:
    return re.sub(r"\$\{?(\w+)\}?", r"\\g<\1>", text.replace("\\", "\\\\"))


def _regex_find_all(pattern: str, text: str, count: int) -> list[str] | None:
    found = [match.group() for match in matches(regex(pattern), text)]
    return (found if count < 0 else found[:count]) or None


def _dir(path: str) -> str:
    head = path.rpartition("/")[0]
    return head or ("/" if path.startswith("/") else ".")


def _base(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2] or ("/" if path else ".")


def _clean(path: str) -> str:
    import posixpath

    return posixpath.normpath(path) if path else "."


def _ext(path: str) -> str:
    name = path.rpartition("/")[2]
    return name[name.rfind(".") :] if "." in name else ""


def _ints(function: Callable[..., int]) -> Callable[..., int]:
    return lambda *values: function(_int(value) for value in values)


SPRIG: dict[str, Callable[..., Value]] = {
    "trim": lambda s: s.strip(SPACES),
    "trimAll": lambda c, s: s.strip(c),
    "trimall": lambda c, s: s.strip(c),
    "trimPrefix": lambda p, s: s.removeprefix(p),
    "trimSuffix": lambda p, s: s.removesuffix(p),
    "repeat": lambda n, s: s * n,
    "contains": lambda p, s: p in s,
    "hasPrefix": lambda p, s: s.startswith(p),
    "hasSuffix": lambda p, s: s.endswith(p),
    "quote": _quote,
    "squote": _squote,
    "cat": lambda *xs: " ".join(v(x) for x in xs if x is not None),
    "indent": _indent,
    "nindent": lambda n, s: "\n" + _indent(n, s),
    "replace": lambda old, new, s: s.replace(old, new),
    "plural": lambda one, many, n: one if n == 1 else many,
    "toString": v,
    "toStrings": lambda xs: [v(x) for x in xs],
    "atoi": lambda s: atoi(s) or 0,
    "int": _int,
    "int64": _int,
    "float64": _float,
    "toDecimal": _octal,
    "split": _split_map,
    "splitn": _splitn,
    "splitList": _split,
    "join": lambda sep, xs: sep.join(v(x) for x in xs),
    "sha1sum": lambda s: hashlib.sha1(to_bytes(s)).hexdigest(),
    "sha256sum": lambda s: hashlib.sha256(to_bytes(s)).hexdigest(),
    "sha512sum": lambda s: hashlib.sha512(to_bytes(s)).hexdigest(),
    "adler32sum": lambda s: str(zlib.adler32(to_bytes(s))),
    "b64enc": lambda s: base64.b64encode(to_bytes(s)).decode(),
    "b64dec": _b64dec,
    "b32enc": lambda s: base64.b32encode(to_bytes(s)).decode(),
    "b32dec": _b32dec,
    "add": lambda *xs: sum(_int(x) for x in xs),
    "add1": lambda x: _int(x) + 1,
    "sub": lambda a, b: _int(a) - _int(b),
    "mul": _product,
    "div": _divide,
    "mod": _mod,
    "max": _ints(max),
    "min": _ints(min),
    "biggest": _ints(max),
    "addf": lambda *xs: sum(_float(x) for x in xs),
    "add1f": lambda x: _float(x) + 1.0,
    "subf": lambda a, *xs: _float(a) - sum(_float(x) for x in xs),
    "mulf": lambda *xs: math.prod(_float(x) for x in xs),
    "divf": lambda a, *xs: _float(a) / math.prod(_float(x) for x in xs),
    "maxf": lambda *xs: max(_float(x) for x in xs),
    "minf": lambda *xs: min(_float(x) for x in xs),
    "ceil": lambda x: float(math.ceil(_float(x))),
    "floor": lambda x: float(math.floor(_float(x))),
    "round": _round,
    "until": lambda n: list(range(0, n, 1 if n >= 0 else -1)),
    "untilStep": lambda a, b, step: list(range(a, b, step)) if step else [],
    "seq": lambda *xs: " ".join(str(i) for i in _seq([_int(x) for x in xs])),
    "default": _default,
    "empty": empty,
    "coalesce": _coalesce,
    "ternary": _ternary,
    "fail": _fail,
    "all": lambda *xs: not any(empty(x) for x in xs),
    "any": lambda *xs: any(not empty(x) for x in xs),
    "hello": lambda: "Hello!",
    "urlParse": _url_parse,
    "urlJoin": _url_join,
    "semver": parse_version,
    "semverCompare": compare_constraint,
    "regexMatch": lambda p, s: regex(p).search(s) is not None,
    "mustRegexMatch": lambda p, s: regex(p).search(s) is not None,
    "regexFind": lambda p, s: m.group() if (m := regex(p).search(s)) else "",
    "regexFindAll": _regex_find_all,
    "regexReplaceAll": lambda p, s, r: sub_regex(regex(p), s, _go_replacement(r)),
    "regexReplaceAllLiteral": lambda p, s, r: sub_regex(regex(p), s, r.replace("\\", r"\\")),
    "regexSplit": lambda p, s, n: split_regex(regex(p), s, n),
    "regexQuoteMeta": lambda s: re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", s),
    "base": _base,
    "dir": _dir,
    "clean": _clean,
    "ext": _ext,
    "isAbs": lambda p: p.startswith("/"),
    "osBase": _base,
    "osDir": _dir,
    "osClean": _clean,
    "osExt": _ext,
    "osIsAbs": lambda p: p.startswith("/"),
    "genPrivateKey": _gen_private_key,
    **TEXT,
    **DATA,
    **RANDOM,
}


def _seq(values: list[int]) -> list[int]:
    if not values:
        return []
    if len(values) == 1:
        step = 1 if values[0] >= 1 else -1
        return list(range(1, values[0] + step, step))
    if len(values) == 2:
        step = 1 if values[1] >= values[0] else -1
        return list(range(values[0], values[1] + step, step))
    start, step, end = values
    if step == 0 or (end - start) * step < 0:
        return []
    return list(range(start, end + (1 if step > 0 else -1), step))


for _name in (
    "append", "chunk", "compact", "deepCopy", "first", "has", "initial", "last", "merge", "mergeOverwrite", "prepend",
    "regexFind", "regexFindAll", "regexReplaceAll", "regexReplaceAllLiteral", "regexSplit", "rest", "reverse", "slice",
    "toPrettyJson", "toRawJson", "uniq", "without",
):  # fmt: skip
    SPRIG["must" + _name[0].upper() + _name[1:]] = SPRIG[_name]
SPRIG["must_date_modify"] = SPRIG["mustDateModify"]

# Of sprig's, too, but not done here: what looks at the network, and what makes keys, certificates and passwords.
LEFT_OUT = frozenset(
    ["bcrypt", "buildCustomCert", "decryptAES", "derivePassword", "encryptAES", "genCA", "genCAWithKey",
     "genSelfSignedCert", "genSelfSignedCertWithKey", "genSignedCert", "genSignedCertWithKey", "getHostByName",
     "htpasswd"]
)  # fmt: skip
