# ruff: noqa: E501 - tables of bodies
"""Records what RapidJSON says of request bodies: rapidjson.json.

``python -m tests.serving.rest.record_rapidjson INCLUDE`` compiles record_rapidjson.cc with the headers of RapidJSON 1.1.0 (the
version that TensorFlow Serving 2.19.1 is built with) and asks it about the bodies below.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
RECORD = HERE / "rapidjson.json"

DBL_MAX = "17976931348623157"
BY_HAND = [
    "", " ", "\0", "]", "}", ",", ":", "{", "[", "[1", '{"a"', '{"a":', '{"a":1', '{"a":1,}', "[1,]", "[,]", "{,}",
    "[1 2]", '{"a":1 "b":2}', '{"a" 1}', "{1:2}", '{"a":}', "[1:2]", '{"a":1]', "[1}", '{"a":[}]}',
    # behind the document
    "{} x", '{"a":[1.0]}]', "{}{}", "{},", '{}"', "[] 1e400", "{}\0", "null x", "1x", "1.x", "1ex", '"a"b', "{}nul", "  {}\n\t ]",
    "{\0}", "[1\0]", '"\0"',
    # words
    "nul", "tru", "fals", "nan", "NaN", "[NaN, 1]", "[Na]", "[In]", "[Infi]", "[Infinit]", "[Inf]", "[Infinity]", "[-Infinity]",
    "[-Inf,2]", "[-NaN]", "[-]", "[+1]", "[.5]", "[01]", "[-01]", "[0x1]", "[1.]", "[1.e1]", "[1e]", "[1e+]", "[1e-]", "[1E5]",
    "[truefalse]", '{"a":nulls}',
    # whole numbers
    *(f"[{n},-{n}]" for n in (0, 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**53 + 1, 2**63, 2**63 + 1, 2**64 - 1, 2**64, 10**20, 10**307)),
    # beyond a double
    *(f"{sign}{n}" for sign in ("", "-") for n in (
        "1e308", "1e309", "1e400", "1E400", "1e+400", "2e308", "0e308", "0e309", "0e400", "0.0e310", "1e0400", "1e0000000309",
        "1e999999999999", "1e-400", "1e-999999999999", "12345e306", "0.001e310", "0.001e311", "0.001e312", "1.8e308", "1.5e309",
        "1.5e310", "1.0000000000000000000000e310", "1.00000000000000000e325", "123456789012345678.5e308", "12345678901234567890.5e309",
        "0." + "0" * 400 + "1e401", "0." + "0" * 400 + "1e709", "0." + "0" * 400 + "1e710", "9007199254740993.25e309",
        *(head + "0" * (digits - len(head)) for head in ("1", "17", "18", "2", "9", DBL_MAX, "17976931348623159") for digits in (308, 309, 310)),
        "9" * 308, "9" * 309, "9" * 310, "1" * 400, "9" * 4300, "9" * 5000, "1" + "0" * 308 + ".5", "1" + "0" * 307 + ".5e5",
        "1" + "0" * 400 + "e-300", "1" + "0" * 300 + "e8", "1" + "0" * 300 + "e309",
    )),
    '{"a":[[{"b":1e400}]]}', '{"a":"1e400","b":1e400}', '{"a":"\\"1e400","b":[1e400]}', "[1, 2.5,  -1e999, 1e400]",
    '{"a":1e400', "[1e400 2]", "[1 1e400]", '{"1e400":[1e309]}', '{"é":"ü","b":1e400}', "\ufeff{\"a\":1e400}",
    # strings
    '"a', '"\\', '"\\q"', '"\\u12G4"', '"\\u12', '"\\ud800"', '"\\ud800x"', '"\\ud800\\n"', '"\\ud800\\u0041"', '"\\udc00"',
    '"\\ud83d\\ude00"', '"\\ud83d\\ude0"', '"\x01"', '"\n"', '"\t"', '"\x7f"', '"\\/\\b\\f\\n\\r\\t\\u0000"', '["é","\\u00e9","日本"]',
    '{"a\\u0062":1,"ab":2}', "\ufeff{}", "\ufeff", "\ufeff ]", '{"a":"\\u001f\\u0000"}',
    # what error texts repeat
    "[" + ",".join(["12345"] * 100) + "]", '{"x":[' + ",".join(["1"] * 600) + "]}", '{"a":"' + "x" * 300 + '","b":1}',
    '["' + "é" * 140 + '","' + "é" * 140 + '",1]', "[" * 300 + "]" * 300, '{"a":' * 40 + "1" + "}" * 40, "[" * 2000 + "]" * 2000,
    '{"a":[1,{"b":[],"c":{}},[[],[1,2]]],"d":"x"}', "[" + ",".join(f'{{"k{n}":{n}.5}}' for n in range(40)) + "]",
    '["' + "x" * 252 + '",1,2]', '["' + "x" * 251 + '",1,2]', '["' + "x" * 250 + '",1,2]', '{"' + "k" * 248 + '":[1,2]}',
    '{"a":[NaN,1],"b":2}', '{"a":Infinity}', "[1e-7,0.000001,1e20,1e21,123456.75,1e300,5e-324,0.1,-0.0,100.0]",
]  # fmt: skip
RAW = [b'["\xff\xc3"]', b'{"\xff":1}', b"\xff", b"\xef\xbb\xbf\xef\xbb\xbf{}", b'"\xc3', b'["\xed\xa0\x80"]']


def bodies() -> list[bytes]:
    """Those above, and ordinary bodies damaged in one place."""
    result = [text.encode() for text in BY_HAND] + RAW
    draw = random.Random(1)
    whole = [
        b'{"instances": [1.5, -2, 3e4, {"b64": "aGk="}], "signature_name": "a\\u00e9"}',
        b'{"inputs": {"x": [[1, 2], [3, 4]], "y": [true, null, false]}}',
        b'{"examples": [{"a": 1, "b": "t"}, {"a": NaN, "b": "\\ud83d\\ude00"}], "context": {}}',
    ]
    for _ in range(300):
        body = bytearray(draw.choice(whole))
        at = draw.randrange(len(body))
        how = draw.randrange(3)
        if how == 0:
            del body[at]
        elif how == 1:
            body.insert(at, draw.choice(b'{}[],:"\\0e.-NIntu \x00\x1f'))
        else:
            del body[at:]
        result.append(bytes(body))
    return result


def main(include: str) -> None:
    asked = bodies()
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/record"
        source = str(HERE / "record_rapidjson.cc")
        subprocess.run(
            ["g++", "-std=c++17", "-O1", "-fpermissive", "-w", "-I", include, source, "-o", program],
            check=True,
        )
        lines = b"".join(body.hex().encode() + b"\n" for body in asked)
        said = (
            subprocess.run([program], input=lines, capture_output=True, check=True)
            .stdout.decode()
            .splitlines()
        )
    rows = []
    for body, line in zip(asked, said, strict=True):
        what, first, second = line.split(" ", 2)
        if what == "error":
            answer = {"error": second, "offset": int(first)}
        else:
            value, shown = (bytes.fromhex(text.strip("-")).decode("latin-1") for text in (first, second))
            answer = {"value": value, "shown": shown}
        rows.append({"body": body.decode("latin-1"), **answer})
    text = ",\n".join(map(json.dumps, rows))
    RECORD.write_text(f"[\n{text}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
