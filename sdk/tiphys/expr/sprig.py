"""The sprig functions that Argo offers in expressions as ``sprig.<name>`` (text, encodings, patterns, addresses).

Lists, dictionaries and dates are in :mod:`tiphys.expr.sprig_data`, numbers in :mod:`tiphys.expr.sprig_numbers`. What
draws random values is in :mod:`tiphys.expr.sprig_random`. Functions that read the environment or the network, and those
that make keys and certificates, are left out.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Callable
from typing import Any

from tiphys.expr import budget
from tiphys.expr.budget import within
from tiphys.expr.gofmt import v
from tiphys.expr.gotext import (
    SPACES,
    from_bytes,
    quote,
    to_bytes,
)
from tiphys.expr.lexer import ExprError
from tiphys.expr.regexp import regexp
from tiphys.expr.semver import compare_constraint, parse_version
from tiphys.expr.sprig_data import DATA, empty, texts
from tiphys.expr.sprig_numbers import NUMBERS
from tiphys.expr.sprig_random import RANDOM
from tiphys.expr.sprig_text import TEXT

Value = Any

__all__ = ["LEFT_OUT", "SPRIG"]


def _split(separator: str, text: str, count: int = -1) -> list[str]:
    if separator:
        return text.split(separator, count - 1 if count > 0 else -1)
    runes = list(text)
    return runes if count < 0 or count >= len(runes) else [*runes[: count - 1], "".join(runes[count - 1 :])]


def _repeat(count: int, text: str) -> str:
    within(count * len(text))
    return text * count


def _indent(spaces: int, text: str) -> str:
    within(spaces * (text.count("\n") + 1))
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
        end = good.end() if good else 0  # what is only cut off is told of its last group of four
        return f"illegal base64 data at input byte {end - end % 4 if end == len(text) else end}"


def _b32dec(text: str) -> str:
    try:
        return from_bytes(base64.b32decode(text))
    except binascii.Error:
        good = re.match(r"(?:[A-Z2-7]{8})*", text)
        rest = text[good.end() :] if good else text
        wrong = re.match(r"[A-Z2-7]*", rest)
        end = len(text) - len(rest) + (wrong.end() if wrong and wrong.end() < len(rest) else 0)
        return f"illegal base32 data at input byte {end}"


def _ternary(yes: Value, no: Value, test: bool) -> Value:
    return yes if test else no


def _default(fallback: Value, *given: Value) -> Value:
    return fallback if not given or empty(given[0]) else given[0]


def _coalesce(*values: Value) -> Value:
    return next((value for value in values if not empty(value)), None)


def _fail(message: str) -> Value:
    raise ExprError(message)


def _split_map(separator: str, text: str) -> dict[str, str]:
    return {f"_{index}": part for index, part in enumerate(_split(separator, text))}


def _splitn(separator: str, count: int, text: str) -> dict[str, str]:
    return {f"_{index}": part for index, part in enumerate(_split(separator, text, count))}


def _digest(name: str) -> Callable[[str], str]:
    def digest(text: str) -> str:
        import hashlib  # slow to import, as urllib is, and the linter wants the names of the functions alone

        return hashlib.new(name, to_bytes(text)).hexdigest()

    return digest


def _url_parse(text: str) -> dict[str, str]:
    from urllib.parse import unquote

    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ExprError(
            f"unable to parse url: parse {quote(text)}: net/url: invalid control character in URL"
        )
    scheme, colon, rest = text.partition(":")
    if not re.fullmatch(r"[A-Za-z][-+.A-Za-z0-9]*", scheme):
        if colon and not re.search(r"[/?#]", scheme):
            what = (
                "missing protocol scheme" if not scheme else "first path segment in URL cannot contain colon"
            )
            raise _bad_url(text, what)
        colon = ""
    before, _, fragment = (rest if colon else text).partition("#")
    before, _, query = before.partition("?")
    opaque = before if colon and before and not before.startswith("/") else ""
    host = path = ""
    if before.startswith("//"):
        host, slash, path = before[2:].partition("/")
        path = slash + path
    elif not opaque:
        path = before
    user, at, host = host.rpartition("@")
    for part in (host, path, fragment):
        if escape := re.search(r"%(?![0-9a-fA-F]{2}).{0,2}", part):
            raise _bad_url(text, f"invalid URL escape {quote(escape.group())}")
    if wrong := re.search(r"[ <>\"]", host):
        raise _bad_url(text, f"invalid character {quote(wrong.group())} in host name")
    name, port = re.fullmatch(r"(\[.*\]|[^:]*)(.*)", host, re.DOTALL).groups()  # type: ignore[union-attr]
    if not re.fullmatch(r"(:\d*)?", port, re.ASCII):
        raise _bad_url(text, f"invalid port {quote(port)} after host")
    return {
        "scheme": scheme.lower() if colon else "", "host": host, "hostname": name.strip("[]"),
        "path": unquote(path), "query": query, "opaque": opaque, "fragment": unquote(fragment),
        "userinfo": user if at else "",
    }  # fmt: skip


def _bad_url(text: str, what: str) -> ExprError:
    return ExprError(f"unable to parse url: parse {quote(text)}: {what}")


def _url_join(parts: dict[str, str]) -> str:
    from urllib.parse import urlunsplit

    user = parts.get("userinfo", "")
    host = f"{user}@{parts.get('host', '')}" if user else parts.get("host", "")
    fields = (parts.get("path", ""), parts.get("query", ""), parts.get("fragment", ""))
    return urlunsplit((parts.get("scheme", ""), host, *fields))


def _gen_private_key(kind: str) -> str:
    if kind in ("", "rsa", "dsa", "ecdsa", "ed25519"):
        raise ExprError("sprig.genPrivateKey makes no keys here")
    return f"Unknown type {kind}"


def _regex_match(pattern: str, text: str) -> bool:
    try:
        return regexp(pattern).search(text) is not None
    except ExprError:  # mustRegexMatch tells it
        return False


def _regex_find_all(pattern: str, text: str, count: int) -> list[str] | None:
    found = [match.texts[0] or "" for match in regexp(pattern).matches(text)]
    return (found if count < 0 else found[:count]) or None


def _dir(path: str) -> str:
    head, slash, _ = path.rpartition("/")
    return _clean(head + slash)


def _base(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2] or ("/" if path else ".")


def _clean(path: str) -> str:
    import posixpath

    cleaned = posixpath.normpath(path) if path else "."
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def _ext(path: str) -> str:
    name = path.rpartition("/")[2]
    return name[name.rfind(".") :] if "." in name else ""


SPRIG: dict[str, Callable[..., Value]] = {
    "trim": lambda s: s.strip(SPACES),
    "trimAll": lambda c, s: s.strip(c),
    "trimall": lambda c, s: s.strip(c),
    "trimPrefix": lambda p, s: s.removeprefix(p),
    "trimSuffix": lambda p, s: s.removesuffix(p),
    "repeat": _repeat,
    "contains": lambda p, s: p in s,
    "hasPrefix": lambda p, s: s.startswith(p),
    "hasSuffix": lambda p, s: s.endswith(p),
    "quote": _quote,
    "squote": _squote,
    "cat": lambda *xs: " ".join(v(x) for x in xs if x is not None),
    "indent": _indent,
    "nindent": lambda n, s: "\n" + _indent(n, s),
    "replace": lambda old, new, s: budget.replaced(s, old, new),
    "plural": lambda one, many, n: one if n == 1 else many,
    "toString": v,
    "toStrings": texts,
    "split": _split_map,
    "splitn": _splitn,
    "splitList": _split,
    "join": lambda sep, xs: budget.joined(sep, texts(xs)),
    "sha1sum": _digest("sha1"),
    "sha256sum": _digest("sha256"),
    "sha512sum": _digest("sha512"),
    "adler32sum": lambda s: str(zlib.adler32(to_bytes(s))),
    "b64enc": lambda s: base64.b64encode(to_bytes(s)).decode(),
    "b64dec": _b64dec,
    "b32enc": lambda s: base64.b32encode(to_bytes(s)).decode(),
    "b32dec": _b32dec,
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
    "regexMatch": _regex_match,
    "mustRegexMatch": lambda p, s: regexp(p).search(s) is not None,
    "regexFind": lambda p, s: m.texts[0] if (m := regexp(p).search(s)) else "",
    "regexFindAll": _regex_find_all,
    "regexReplaceAll": lambda p, s, r: regexp(p).replace(s, lambda m: m.expand(r)),
    "regexReplaceAllLiteral": lambda p, s, r: regexp(p).replace(s, lambda _: r),
    "regexSplit": lambda p, s, n: regexp(p).split(s, n),
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
    **NUMBERS,
    **DATA,
    **RANDOM,
}


for _name in (
    "append", "chunk", "compact", "deepCopy", "first", "has", "initial", "last", "merge", "mergeOverwrite", "prepend",
    "push", "regexFind", "regexFindAll", "regexReplaceAll", "regexReplaceAllLiteral", "regexSplit", "rest", "reverse",
    "slice", "toPrettyJson", "toRawJson", "uniq", "without",
):  # fmt: skip
    SPRIG["must" + _name[0].upper() + _name[1:]] = SPRIG[_name]
SPRIG["must_date_modify"] = SPRIG["mustDateModify"]

# Of sprig's, too, but not done here: what looks at the network, and what makes keys, certificates and passwords.
LEFT_OUT = frozenset(
    ["bcrypt", "buildCustomCert", "decryptAES", "derivePassword", "encryptAES", "genCA", "genCAWithKey",
     "genSelfSignedCert", "genSelfSignedCertWithKey", "genSignedCert", "genSignedCertWithKey", "getHostByName",
     "htpasswd"]
)  # fmt: skip
