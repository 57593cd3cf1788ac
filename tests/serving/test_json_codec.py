# ruff: noqa: E501 - tables of requests and messages, one a line
"""The JSON of predict requests and answers.

The cases with a name in quotes are those of TensorFlow Serving's own test, json_tensor_test.cc; layouts are
RapidJSON's PrettyWriter's as the real server sends them.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.serving.model import Code, ModelError, Tensor, TensorInfo
from tiphys.serving.rest import examples, rapid, read, values, write


def infos(**dtypes: str) -> dict[str, TensorInfo]:
    return {name: TensorInfo(f"DT_{dtype}", None) for name, dtype in dtypes.items()}


def tensors(text: str, **dtypes: str) -> dict[str, tuple[tuple[int, ...], list[Any]]]:
    document = read.parse(text.encode())
    read.signature_name(document)
    _, result = read.predict_inputs(document, infos(**dtypes))
    return {name: (tensor.shape, list(tensor.values)) for name, tensor in result.items()}


def refusal(text: str | bytes, **dtypes: str) -> str:
    with pytest.raises(ModelError) as caught:
        document = read.parse(text.encode() if isinstance(text, str) else text)
        read.signature_name(document)
        read.predict_inputs(document, infos(**dtypes))
    assert caught.value.code is Code.INVALID_ARGUMENT
    return caught.value.message


# ---- requests that are right
def test_single_unnamed_tensor() -> None:
    assert tensors('{"instances": [[1,2],[3,4],[5,6]]}', x="INT32") == {"x": ((3, 2), [1, 2, 3, 4, 5, 6])}


def test_mixed_input_for_float_and_double() -> None:
    found = tensors('{"instances": [1, 2.0, 3, 5.003, 0.0]}', x="FLOAT")["x"]
    assert found == ((5,), [struct.unpack("f", struct.pack("f", v))[0] for v in (1, 2, 3, 5.003, 0)])
    assert tensors('{"instances": [1.0, 2, 0.662]}', x="DOUBLE")["x"] == ((3,), [1, 2, 0.662])


def test_base64_scalars_lists_and_named() -> None:
    text = '{"instances": [{"b64": "aGVsbG8="}, {"b64": "d29ybGQ="}]}'
    assert tensors(text, x="STRING")["x"] == ((2,), [b"hello", b"world"])
    text = '{"instances": [[{"b64": "aGVsbG8="}], [{"b64": "d29ybGQ="}]]}'
    assert tensors(text, x="STRING")["x"] == ((2, 1), [b"hello", b"world"])
    text = '{"instances": [{"x": [[{"b64": "aGVsbG8="}], [{"b64": "d29ybGQ="}]]}]}'
    assert tensors(text, x="STRING")["x"] == ((1, 2, 1), [b"hello", b"world"])


def test_multiple_named_tensors_with_nan_and_infinity() -> None:
    text = """{"instances": [
        {"i": [[1,2],[3,4]], "s": ["foo", "bar"], "f": [1.0, NaN], "d": [NaN]},
        {"i": [[7,8],[9,0]], "s": ["baz", "bat"], "f": [2.0, Infinity], "d": [2.0]}]}"""
    found = tensors(text, i="INT32", s="STRING", f="FLOAT", d="DOUBLE")
    assert found["i"] == ((2, 2, 2), [1, 2, 3, 4, 7, 8, 9, 0])
    assert found["s"] == ((2, 2), [b"foo", b"bar", b"baz", b"bat"])
    shape, values = found["f"]
    assert shape == (2, 2)
    assert values[0] == 1.0 and math.isnan(values[1]) and values[2:] == [2.0, math.inf]
    assert math.isnan(found["d"][1][0])


def test_column_format_named_and_unnamed() -> None:
    for text in ('{"inputs": {"i": [[[1,2],[3,4]]]}}', '{"inputs": [[[1,2],[3,4]]]}'):
        assert tensors(text, i="INT32") == {"i": ((1, 2, 2), [1, 2, 3, 4])}
    text = '{"inputs": {"i": [1], "s": ["foo", "bar"], "b": {"b64": "aGVsbG8="}}}'
    found = tensors(text, i="INT64", s="STRING", b="STRING")
    assert found == {"i": ((1,), [1]), "s": ((2,), [b"foo", b"bar"]), "b": ((), [b"hello"])}


def test_rapidjson_takes_more_than_python() -> None:
    assert tensors('{"instances": [Inf, -Inf, -Infinity]}', x="FLOAT")["x"][1] == [
        math.inf,
        -math.inf,
        -math.inf,
    ]
    assert math.isnan(tensors('{"instances": [-NaN]}', x="DOUBLE")["x"][1][0])
    assert tensors('\ufeff{"instances": [1]}', x="INT32")["x"] == ((1,), [1])


def test_the_first_of_equal_names_counts() -> None:
    assert tensors('{"instances": [1], "instances": [2]}', x="INT32")["x"] == ((1,), [1])


def test_uint8_is_cut_from_int32() -> None:
    # Tensor::FromProto casts int_val to the tensor's type
    assert tensors('{"instances": [255, 256, -1]}', x="UINT8")["x"][1] == [255, 0, 255]


def test_bytes_that_are_not_utf8_arrive_as_they_are() -> None:
    document = read.parse(b'{"instances": ["\xff\xfe"]}')
    _, found = read.predict_inputs(document, infos(x="STRING"))
    assert found["x"].values == [b"\xff\xfe"]


def test_numbers_are_cast_to_the_nearest() -> None:
    """Since TensorFlow Serving 2.5 (json_tensor_test.cc): no refusal of what the type does not hold exactly."""
    found = tensors('{"instances": [16777217, 123456789, 1e300, -1.7976931348623157e308, 2e308]}', x="FLOAT")[
        "x"
    ]
    assert found == ((5,), [16777216.0, 123456792.0, math.inf, -math.inf, math.inf])
    assert tensors('{"inputs": [9007199254740993, 1e300]}', x="DOUBLE")["x"] == (
        (2,),
        [9007199254740992.0, 1e300],
    )
    (record,) = examples.read(read.parse(b'{"examples": [{"n": [1e300, 18446744073709551616]}]}')).values
    assert struct.pack("<2f", math.inf, 2.0**64) in record


def test_text_behind_the_document_is_ignored() -> None:
    for rest in (" x", "]", " {", "\x00", ' "', " 1e400"):
        assert tensors('{"instances": [1]}' + rest, x="INT32")["x"] == ((1,), [1])
        assert examples.read(read.parse(b'{"examples": [{"n": 1}]}' + rest.encode())).shape == (1,)


@pytest.mark.parametrize(
    ("text", "fast"),
    [
        (r"\ud83d\ude00", True),
        (r"x\uD83D\uDE00y\u00e9", True),
        (r"\ud83d", False),
        (r"\ude00", False),
        (r"\ud83d\ud83d\ude00", False),
        (r"\ud83dx\ude00", False),
    ],
)
def test_only_half_a_surrogate_pair_is_read_with_care(text: str, fast: bool) -> None:
    """A whole one, which `json.dumps` writes for an emoji, means the same to Python and to RapidJSON."""
    body = b'{"instances": ["' + text.encode() + b'"]}'
    assert (read.parse_fast(body) is not None) is fast
    if fast:
        assert read.parse_fast(body) == read.parse_with_care(body)


def test_half_a_surrogate_pair_does_not_crash_a_large_request() -> None:
    """A body too large for the careful reader; RapidJSON takes the second half of a pair by itself."""
    (text, padding) = tensors('{"instances": ["\\udc00", "' + "x" * 2_000_000 + '"]}', x="STRING")["x"][1]
    assert (text, len(padding)) == (b"\xed\xb0\x80", 2_000_000)


# ---- requests that are wrong
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "JSON Parse error: The document is empty"),
        ("  ", "JSON Parse error: The document is empty. at offset: 2"),
        ("instances = [1, 2]", "JSON Parse error: Invalid value. at offset: 0"),
        ('{"instances": [1, 2}', "JSON Parse error: Missing a comma or ] after an array element. at offset: 19"),
        ('{"instances" [1]}', "JSON Parse error: Missing a colon after a name of object member. at offset: 13"),
        ('{"a": 1 "b": 2}', "JSON Parse error: Missing a comma or } after an object member. at offset: 8"),
        ("{1: 2}", "JSON Parse error: Missing a name for object member. at offset: 1"),
        ("] {}", "JSON Parse error: The document is empty. at offset: 0"),
        ('{"a": 1e400}', "JSON Parse error: Number too big to be stored in double. at offset: 6"),
        ('{"a": [[-1' + "0" * 400 + "]]}", "JSON Parse error: Number too big to be stored in double. at offset: 8"),
        ('{"a": "x', "JSON Parse error: Missing a closing quotation mark in string. at offset: 8"),
        ('{"a": "\\q"}', "JSON Parse error: Invalid escape character in string. at offset: 7"),
        ('{"a": "\\u12G4"}', "JSON Parse error: Incorrect hex digit after \\u escape in string. at offset: 7"),
        ('{"a": "\\ud800"}', "JSON Parse error: The surrogate pair in string is invalid. at offset: 7"),
        ('{"a": "\n"}', "JSON Parse error: Invalid encoding in string. at offset: 7"),
        ('{"a": 1.}', "JSON Parse error: Miss fraction part in number. at offset: 8"),
        ('{"a": 1e}', "JSON Parse error: Miss exponent in number. at offset: 8"),
        ('{"a": tru}', "JSON Parse error: Invalid value. at offset: 9"),
        ("[1]", "JSON Value: [1] Is not object"),
        ("{}", "Missing 'inputs' or 'instances' key"),
        ('{"instances": 1}', "JSON Value: {\n    \"instances\": 1\n} Expecting 'instances' to be an list/array"),
        ('{"instances": []}', "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array"),
        (
            '{"signature_name": 5}',
            "JSON Value: {\n    \"signature_name\": 5\n} not formatted correctly. "
            "'signature_name' key must be a string value.",
        ),
        (
            '{"instances": [1], "inputs": 1}',
            'JSON Value: {\n    "instances": [1],\n    "inputs": 1\n} '
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
        ),
    ],
)  # fmt: skip
def test_documents_that_are_wrong(text: str, message: str) -> None:
    assert refusal(text, x="INT32") == message


FIRST = "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: "
SECOND = FIRST.replace("0", "1")


@pytest.mark.parametrize(
    ("text", "dtype", "message"),
    [
        ('{"instances": [[1,2],[3,4],[5,6,7]]}', "INT32", FIRST.replace("0", "2") + "Expecting tensor size: 2 but got: 3"),
        ('{"instances": [[1,2],[3,4],[[5,6]]]}', "INT32", FIRST.replace("0", "2") + "Expecting shape [2] but got: [1,2]"),
        ('{"instances": [1, [1]]}', "INT32", SECOND + "Expecting shape [] but got: [1]"),
        ('{"instances": [[1,2],["a", "b"]]}', "INT32", SECOND + 'JSON Value: "a" Type: String is not of expected type: int32'),
        ('{"instances": [1.5]}', "INT32", FIRST + "JSON Value: 1.5 Type: Number is not of expected type: int32"),
        ('{"instances": [true]}', "FLOAT", FIRST + "JSON Value: true Type: True is not of expected type: float"),
        ('{"instances": [null]}', "FLOAT", FIRST + "JSON Value: null Type: Null is not of expected type: float"),
        ('{"instances": [1]}', "STRING", FIRST + "JSON Value: 1 Type: Number is not of expected type: string"),
        ('{"instances": [1]}', "BOOL", FIRST + "JSON Value: 1 Type: Number is not of expected type: bool"),
        ('{"instances": [2147483648]}', "INT32", FIRST + "JSON Value: 2147483648 Type: Number is not of expected type: int32"),
        ('{"instances": [-1]}', "UINT32", FIRST + "JSON Value: -1 Type: Number is not of expected type: uint32"),
        ('{"instances": [{"b64": "%"}]}', "STRING", FIRST + "Unable to base64 decode"),
        ('{"instances": [[{"a": 1}]]}', "STRING",
         FIRST + 'JSON Value: {\n    "a": 1\n} not formatted correctly for base64 data'),
        ('{"instances": [["baz"], {"x": ["baz"]}]}', "STRING",
         "Expecting value/list but got object at item 1 of input list"),
        ('{"instances": [{"x": [1]}, [1]]}', "INT32", "Expecting object but got list at item 1 of input list"),
        ('{"instances": [{"y": 1}]}', "INT32",
         "Failed to process element: 0 key: y of 'instances' list. Error: "
         "INVALID_ARGUMENT: JSON object: does not have named input: y"),
        ('{"instances": [{}]}', "INT32",
         "Failed to process element: 0 of 'instances' list. JSON object: {} keys must be equal to: x"),
        ('{"inputs": {"y": 1}}', "INT32", "Missing named input: x in 'inputs' object."),
        ('{"inputs": [[1], 2]}', "INT32", "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
        ('{"inputs": [1, [2]]}', "INT32", "Encountered list at unexpected level: 1 expected < 1"),
        ('{"inputs": [[1], [2, 3]]}', "INT32", "Encountered list at unexpected size: 2 at level: 1 expected size: 1"),
    ],
)  # fmt: skip
def test_values_that_are_wrong(text: str, dtype: str, message: str) -> None:
    assert refusal(text, x=dtype) == message


def test_several_inputs_need_names() -> None:
    assert refusal('{"instances": [1]}', x="INT32", y="INT32").startswith("instances is a plain list, but")
    assert refusal('{"inputs": [1]}', x="INT32", y="INT32").startswith("inputs is a plain value/list, but")


def test_unsupported_types_are_unimplemented() -> None:
    with pytest.raises(ModelError) as caught:
        read.predict_inputs(read.parse(b'{"inputs": 1}'), infos(x="COMPLEX64"))
    assert caught.value.code is Code.UNIMPLEMENTED
    assert caught.value.message == "Conversion of JSON Value: 1 to type: complex64"


def test_deep_nesting_is_refused_not_a_crash() -> None:
    depth = 100_000
    message = refusal(b'{"instances": ' + b"[" * depth + b"]" * depth + b"}", x="INT32")
    assert message.endswith("Tensors have at most 254 dimensions")


def test_a_huge_document_is_not_repeated_in_the_error() -> None:
    text = '{"instances": 1, "more": [' + "1," * 100_000 + "1]}"
    assert len(refusal(text, x="INT32")) < 400


# ---- answers
def row(**values: Tensor) -> str:
    return write.predictions(values).decode()


def tensor(dtype: str, shape: tuple[int, ...], values: list[Any]) -> Tensor:
    return Tensor(f"DT_{dtype}", shape, values)


def test_row_format_layout() -> None:
    assert row(y=tensor("FLOAT", (3,), [2.5, 3.0, 4.5])) == '{\n    "predictions": [2.5, 3.0, 4.5\n    ]\n}'
    assert (
        row(y=tensor("INT32", (2, 2, 1), [1, 2, 3, 4]))
        == '{\n    "predictions": [[[1], [2]], [[3], [4]]\n    ]\n}'
    )
    assert row(y=tensor("INT32", (0, 2), [])) == '{\n    "predictions": []\n}'


def test_row_format_of_several_outputs() -> None:
    text = row(
        d=tensor("DOUBLE", (2,), [8.0, 9.0]),
        s=tensor("STRING", (2, 1), [b"foo", b'b"r']),
        z_bytes=tensor("STRING", (2, 1), [b"hello", b"tf"]),
    )
    assert text == (
        '{\n    "predictions": [\n'
        '        {\n            "d": 8.0,\n            "s": ["foo"],\n            "z_bytes": [{\n'
        '                    "b64": "aGVsbG8="\n                }]\n        },\n'
        '        {\n            "d": 9.0,\n            "s": ["b\\"r"],\n            "z_bytes": [{\n'
        '                    "b64": "dGY="\n                }]\n        }\n'
        "    ]\n}"
    )


def test_column_format_layout() -> None:
    assert (
        write.outputs({"y": tensor("FLOAT", (1, 2), [1.0, 0.25])}).decode()
        == '{\n    "outputs": [\n        [\n            1.0,\n            0.25\n        ]\n    ]\n}'
    )
    assert write.outputs({"y": tensor("INT64", (), [7])}).decode() == '{\n    "outputs": 7\n}'
    text = write.outputs({"b": tensor("BOOL", (1,), [True]), "a": tensor("INT8", (), [1])}).decode()
    assert (
        text == '{\n    "outputs": {\n        "a": 1,\n        "b": [\n            true\n        ]\n    }\n}'
    )


def test_six_digit_precision_and_non_finite_numbers() -> None:
    values = [9000000, 999999, 0.5, 0.0003, 0.00003, 555557.5, math.nan, math.inf, 3, -math.inf]
    single = [struct.unpack("f", struct.pack("f", value))[0] for value in values]
    assert write.format_floats(single, single=True) == [
        "9e+06", "999999.0", "0.5", "0.0003", "3e-05", "555557.5", "NaN", "Infinity", "3.0", "-Infinity",
    ]  # fmt: skip


def test_classify_and_regress_results() -> None:
    text = write.classifications([[(b"car", 0.5), (b"bus", 0.25)], [(b"", 1.0)]]).decode()
    assert text == '{\n    "results": [[["car", 0.5], ["bus", 0.25]], [["", 1.0]]\n    ]\n}'
    assert write.regressions([3.5, 4.0]).decode() == '{\n    "results": [3.5, 4.0]\n}'


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "Cannot convert empty tensor map to JSON"),
        ({"x": tensor("COMPLEX64", (2,), [1, 2])}, "Failed to write JSON value for tensor type: complex64"),
        ({"x": tensor("INT32", (), [1])}, "Tensor name: x has no shape information "),
        (
            {"i": tensor("INT32", (2,), [1, 2]), "s": tensor("STRING", (1,), [b""])},
            "Tensor name: s has inconsistent batch size: 1 expecting: 2",
        ),
    ],
)
def test_answers_that_cannot_be_written(values: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        write.predictions(values)


# ---- classify and regress requests
def test_examples_become_tf_example_records() -> None:
    document = read.parse(b'{"examples": [{"x": 1.0}], "context": {"q": "p", "n": [1, true, -1]}}')
    (record,) = examples.read(document).values
    # Example{features{feature{key:"q" value{bytes_list{value:"p"}}} …}}, by protobuf's encoding rules
    bytes_feature = b"\x0a\x01q" + b"\x12\x05" + b"\x0a\x03\x0a\x01p"
    ints = b"\x01\x01" + b"\xff" * 9 + b"\x01"
    int_feature = b"\x0a\x01n" + b"\x12\x10" + b"\x1a\x0e\x0a\x0c" + ints
    float_feature = b"\x0a\x01x" + b"\x12\x08" + b"\x12\x06\x0a\x04" + struct.pack("<f", 1.0)
    entries = b"".join(b"\x0a" + bytes([len(f)]) + f for f in (bytes_feature, int_feature, float_feature))
    assert record == b"\x0a" + bytes([len(entries)]) + entries


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('{"examples": {"a": 1}}', "Expecting 'examples' value to be an list/array"),
        ("{}", "key 'examples' is expected and was not found"),
        ('{"examples": []}', "'examples' value is an empty array"),
        ('{"context": [1], "examples": [{}]}', "Example must be JSON object but got JSON Array"),
        ('{"examples": [{"n": [10, null]}]}', "Feature: n has element with unexpected JSON type: Null"),
        ('{"examples": [{"n": [10, 10.0]}]}', "Unexpected element type in feature: n expecting type: int64"),
        ('{"examples": [{"n": [10, {"t": 1}]}]}', "Feature: n has element with unexpected JSON type: Object"),
        ('{"examples": [{"n": [[10], 20]}]}', "Feature: n has element with unexpected JSON type: Array"),
        ('{"examples": [{"n": 18446744073709551603}]}', "uint64_t element. Only int64_t is supported."),
    ],
)
def test_examples_that_are_wrong(text: str, part: str) -> None:
    with pytest.raises(ModelError) as caught:
        examples.read(read.parse(text.encode()))
    assert part in caught.value.message


# ---- properties
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def same(one: Any, other: Any) -> bool:
    """Equal, NaN to itself and by type."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and bool(one == other)


@given(json_values, st.booleans())
def test_the_careful_parser_reads_what_python_writes(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        found = rapid.parse(text)
    except rapid.ParseError as error:
        assert "surrogate" in error.message and any(0xD800 <= ord(c) <= 0xDFFF for c in str(value))
    else:
        assert same(found, json.loads(text.decode("utf-8", "surrogatepass"))) or not ascii_only


@given(st.binary(max_size=200))
def test_any_bytes_give_a_document_or_one_error(data: bytes) -> None:
    try:
        document = read.parse(data)
        read.predict_inputs(document, infos(x="FLOAT"))
    except ModelError as error:
        assert error.message


@given(json_values)
def test_fast_and_careful_ways_agree(value: Any) -> None:
    """Whatever the fast way takes, the careful way takes too, and finds the same tensor."""
    for dtype in ("FLOAT", "DOUBLE", "INT32", "INT64", "UINT8", "BOOL", "STRING"):
        fast = values.fast_tensor(value, f"DT_{dtype}")
        if fast is None:
            continue
        careful = values.careful_tensor(value, f"DT_{dtype}")
        elements = list(careful.values)
        if dtype == "FLOAT":
            elements = [struct.unpack("f", struct.pack("f", v))[0] for v in elements]
        assert fast.shape == careful.shape
        assert same(list(fast.values), [int(v) if dtype in ("BOOL", "UINT8") else v for v in elements])


@given(st.lists(st.floats(width=32), min_size=1), st.booleans())
def test_floats_come_back_exactly(values: list[float], single: bool) -> None:
    texts = write.format_floats(values, single=single)
    for text, value in zip(texts, values, strict=True):
        back = float(text)
        if single and math.isfinite(back):
            back = struct.unpack("f", struct.pack("f", back))[0]
        assert same(back, value)
        assert any(mark in text for mark in ".eNI")


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=5))
def test_bytes_go_through_base64(values: list[bytes]) -> None:
    body = json.dumps({"instances": [{"b64": base64.b64encode(v).decode()} for v in values]})
    assert tensors(body, x="STRING")["x"] == ((len(values),), values)
    answer = json.loads(write.predictions({"x_bytes": tensor("STRING", (len(values),), values)}))
    assert [base64.b64decode(entry["b64"]) for entry in answer["predictions"]] == values
