"""Cuts: what did not change between two files is cut into equal pieces, whatever else changed, and whatever is in them."""

import io
import json
import random
import struct
import sys
import tracemalloc
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable

import numpy as np
import onnx
import pytest
import safetensors.numpy as real
from hypothesis import given, settings
from hypothesis import strategies as st

from modelvault.cuts import Piece, Range, cuts, external
from modelvault.cuts.rules import MOST, Layout, fixed, joined, planned

from .cuts import makers
from .cuts.makers import FORMATS, field, onnx_model, onnx_tensor

KIB, MIB = 1024, 1024 * 1024
LARGE = 64 * KIB


def reader(data: bytes) -> Callable[[int, int], bytes]:
    return lambda offset, length: data[offset : offset + length]


def sparse(head: bytes) -> Callable[[int, int], bytes]:
    """A file of which only the head may be read."""

    def read(offset: int, length: int) -> bytes:
        assert offset < len(head)
        return head[offset : offset + length]

    return read


def cut(data: bytes, **options) -> list[Piece]:
    """The pieces, after a look at their sum."""
    pieces = list(cuts(reader(data), len(data), **options))
    assert sum(piece.size for piece in pieces) == len(data)
    assert all(piece.size > 0 for piece in pieces)
    assert len(pieces) <= MOST
    return pieces


def contents(data: bytes, **options) -> list[bytes]:
    """The bytes of the pieces."""
    file = io.BytesIO(data)
    return [file.read(piece.size) for piece in cut(data, **options)]


def random_tensors(seed: int, sizes: list[int]) -> dict[str, bytes]:
    source = random.Random(seed)
    return {f"layer.{index}": source.randbytes(size) for index, size in enumerate(sizes)}


def large(tensors: dict[str, bytes]) -> set[bytes]:
    return {data for data in tensors.values() if len(data) >= LARGE}


SIZES = st.lists(st.sampled_from([4, 64, 1_000, 30_000, 65_532, 65_536, 65_540, 130_000]), min_size=1, max_size=8)
TENSORS = st.builds(random_tensors, st.integers(0, 9), SIZES)
FORMAT = st.sampled_from(sorted(FORMATS))


# Laws


@given(TENSORS, FORMAT)
@settings(max_examples=60)
def test_every_large_tensor_is_a_piece_of_its_own(tensors, name):
    assert large(tensors) <= set(contents(FORMATS[name](tensors)))


@given(TENSORS, FORMAT, st.text("abc", max_size=300))
@settings(max_examples=60)
def test_a_longer_header_changes_no_large_piece(tensors, name, note):
    before, after = (contents(FORMATS[name](tensors, text)) for text in ("", note))
    assert large(tensors) <= set(before) & set(after)
    if name in {"safetensors", "gguf", "onnx"}:  # in archives, padding and directory depend on the offsets
        assert before[1:] == after[1:] or len(before) == 1


@given(TENSORS, FORMAT, st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_in_another_order_large_pieces_are_the_same(tensors, name, source):
    names = sorted(tensors)
    source.shuffle(names)
    after = contents(FORMATS[name]({name: tensors[name] for name in names}))
    assert large(tensors) <= set(after)


@given(TENSORS, st.randoms(use_true_random=False))
def test_in_another_order_large_tensors_have_the_same_pieces(tensors, source):
    tensors = {name: data for name, data in tensors.items() if len(data) >= LARGE}
    names = sorted(tensors)
    source.shuffle(names)
    before, after = (
        contents(makers.safetensors({name: tensors[name] for name in order})) for order in (tensors, names)
    )
    assert Counter(before[1:]) == Counter(after[1:])


@given(TENSORS, FORMAT, st.data())
@settings(max_examples=60)
def test_one_changed_tensor_changes_its_pieces_only(tensors, name, data):
    changed = data.draw(st.sampled_from(sorted(tensors)))
    others = {**tensors, changed: bytes(len(tensors[changed]))}
    before, after = contents(FORMATS[name](tensors)), contents(FORMATS[name](others))
    assert [len(piece) for piece in before] == [len(piece) for piece in after]
    different = [one for one, other in zip(before, after, strict=True) if one != other]
    if name in {"safetensors", "gguf", "onnx"}:
        assert len(different) == (tensors[changed] != others[changed])
    assert not large({name: data for name, data in tensors.items() if name != changed}) & set(different)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_tensor_more_changes_no_large_piece_of_the_others(name):
    tensors = random_tensors(1, [LARGE, 100, 2 * LARGE, 200, LARGE])
    more = {"new": random.Random(2).randbytes(1_000), **tensors}
    assert large(tensors) <= set(contents(FORMATS[name](more)))


@given(st.binary(max_size=200), st.sampled_from([b"", b"PK\3\4", b"GGUF\3\0\0\0", b"\x93NUMPY\1\0", b"\x08\x07\x3a"]))
@settings(max_examples=500)
def test_the_pieces_of_any_bytes_add_up(data, magic):
    cut(magic + data)
    external(reader(magic + data), len(magic + data))


VALID = {name: make(random_tensors(3, [100, LARGE, 300, 2 * LARGE])) for name, make in FORMATS.items()}
VALID |= {
    "npy": makers.npy(random.Random(4).randbytes(3 * LARGE)),
    "external": onnx_model(field(5, field(2, 1) + field(13, field(1, b"location") + field(2, b"weights")))),
}
NUMBERS = st.sampled_from([0, 1, 0x7F, 0x80, 0xFF, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1])


@given(st.sampled_from(sorted(VALID)), st.data())
@settings(max_examples=1_000)
def test_the_pieces_of_damaged_files_add_up(name, data):
    valid = VALID[name]
    near = st.integers(0, 700) | st.integers(0, len(valid))
    at = data.draw(near) if data.draw(st.booleans()) else max(0, len(valid) - data.draw(near))
    new = data.draw(
        st.binary(max_size=12) | NUMBERS.map(lambda n: n.to_bytes(8, "little")) | NUMBERS.map(makers.varint)
    )
    gone = data.draw(st.sampled_from([0, len(new), 1, 8, len(valid)]))
    damaged = valid[:at] + new + valid[at + gone :]
    cut(damaged)
    external(reader(damaged), len(damaged))


RANGES = st.lists(st.tuples(st.integers(-5, 300_000), st.integers(-5, 2**64), st.sampled_from(["", "F32", "?"])))


@given(RANGES, st.integers(0, 300_000))
@settings(max_examples=300)
def test_the_pieces_of_any_ranges_add_up(ranges, size):
    cut(bytes(size), ranges=ranges)


@given(st.integers(0, 2**63), st.integers(0, 9))
def test_fixed_pieces_add_up(size, less):
    pieces = fixed(max(0, size - less))
    assert sum(piece.size for piece in pieces) == max(0, size - less)
    assert len(pieces) <= 4_096


# Rules


def test_an_empty_file_has_no_pieces():
    assert cut(b"") == []


def test_pieces_of_a_safetensors_file_have_the_dtypes_of_their_tensors():
    tensors = random_tensors(1, [LARGE, 100, 200, LARGE])
    assert cut(makers.safetensors(tensors))[1:] == [(LARGE, "F32"), (300, ""), (LARGE, "F32")]


def test_a_run_of_one_tensor_has_its_dtype():
    assert cut(makers.safetensors(random_tensors(1, [LARGE, 100, LARGE])))[2] == (100, "F32")


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32", "F64", "I8", "F8_E4M3", None, ["F32"], {}])
def test_only_floats_have_a_dtype(dtype):
    header = json.dumps({"data_offsets": {"dtype": dtype, "shape": [], "data_offsets": [0, LARGE]}}).encode()
    raw = len(header).to_bytes(8, "little") + header + bytes(LARGE)
    assert cut(raw)[-1] == (LARGE, dtype if dtype in ("BF16", "F16", "F32", "F64") else "")


def test_a_length_that_is_no_number_of_floats_has_no_dtype():
    assert planned(Layout(0, [Range(0, LARGE + 1, "F16")]), LARGE + 1) == [(LARGE + 1, "")]


def test_small_neighbours_are_joined_up_to_one_mebibyte():
    pieces = planned(Layout(10, [Range(10 + 60_000 * i, 60_000, "F32") for i in range(40)]), 10 + 60_000 * 40)
    assert pieces == [(10, ""), (1_020_000, ""), (1_020_000, ""), (360_000, "")]


def test_a_huge_tensor_is_cut_from_its_own_start():
    pieces = planned(Layout(9, [Range(9, 100, "F32"), Range(109, 70 * MIB, "F32")]), 109 + 70 * MIB)
    assert pieces == [(9, ""), (100, "F32"), (32 * MIB, "F32"), (32 * MIB, "F32"), (6 * MIB, "F32")]


def test_what_no_tensor_covers_is_cut_as_well():
    pieces = planned(Layout(0, [Range(100, LARGE, "F32"), Range(3 * LARGE, 2 * LARGE, "F64")]), 5 * LARGE + 7)
    assert pieces == [(100, ""), (LARGE, "F32"), (2 * LARGE - 100, ""), (2 * LARGE, "F64"), (7, "")]


def test_a_layout_that_explains_less_than_half_of_a_file_is_none():
    assert planned(Layout(0, [Range(0, LARGE)]), 2 * LARGE + 1) == []


def test_overlapping_ranges_are_left_out():
    pieces = planned(
        Layout(0, [Range(0, 2 * LARGE), Range(LARGE, 2 * LARGE), Range(2 * LARGE, LARGE, "F16")]), 3 * LARGE
    )
    assert pieces == [(2 * LARGE, ""), (LARGE, "F16")]


def test_of_more_tensors_than_pieces_neighbours_are_joined():
    size = 20_000 * LARGE
    pieces = planned(Layout(0, [Range(i * LARGE, LARGE, "F32") for i in range(20_000)]), size)
    assert sum(piece.size for piece in pieces) == size
    assert set(pieces[:-1]) == {(2 * MIB, "")}


def test_a_tensor_that_is_huge_beyond_reason_has_no_more_pieces():
    pieces = planned(Layout(0, [Range(0, 2**60, "F32")]), 2**60)
    assert len(pieces) == MOST
    assert sum(piece.size for piece in pieces) == 2**60


def test_only_headers_are_read():
    header = makers.safetensors({"a": b""}).replace(b"[0, 0]", b"[0, %d]" % 2**40)
    header = (len(header) - 8).to_bytes(8, "little") + header[8:]
    pieces = list(cuts(sparse(header), len(header) + 2**40))
    assert pieces[0] == (len(header), "")
    assert len(pieces) == 1 + 8_192 // 2  # of 256 MiB


# Formats


@pytest.mark.parametrize("version", [2, 3])
def test_a_gguf_file_is_cut_at_its_tensors(version):
    tensors = random_tensors(5, [LARGE, 100, LARGE + 4])
    raw = makers.gguf(tensors, version=version)
    head = len(raw) - 2 * LARGE - 128 - 64
    assert cut(raw) == [(head, ""), (LARGE, "F32"), (128, ""), (LARGE + 4, "F32"), (60, "")]


def test_quantised_tensors_of_gguf_end_where_the_next_one_begins():
    tensors = random_tensors(5, [LARGE, 2 * LARGE])
    assert cut(makers.gguf(tensors, kind=12, alignment=32))[1:] == [(LARGE, ""), (2 * LARGE, "")]


@pytest.mark.parametrize(
    "head",
    [
        struct.pack(">LQQ", 3, 1, 0),  # big-endian
        struct.pack("<LQQ", 1, 1, 0),
        struct.pack("<LQQ", 3, 2**64 - 1, 0),
        struct.pack("<LQQ", 3, 0, 2**64 - 1),
        struct.pack("<LQQQ", 3, 0, 1, 2**64 - 1),
        struct.pack("<LQQQ1sLLQ", 3, 0, 1, 1, b"k", 9, 9, 5),
        struct.pack("<LQQQ1sLLQ", 3, 0, 1, 1, b"k", 9, 8, 2**63),
        struct.pack("<LQQQ1sLLQQ", 3, 0, 1, 1, b"k", 9, 8, 2**63, 2**64 - 1),
        struct.pack("<LQQQ1sL", 3, 0, 1, 1, b"k", 77),
        struct.pack("<LQQQ17sLLQ1sL", 3, 1, 1, 17, b"general.alignment", 4, 0, 1, b"t", 0) + bytes(100),
        struct.pack("<LQQQ1sL", 3, 1, 0, 1, b"t", 2**32 - 1) + bytes(100),
        struct.pack("<LQQQ1sL8QLQ", 3, 1, 0, 1, b"t", 8, *[2**64 - 1] * 8, 0, 0),
    ],
)
def test_a_gguf_header_that_lies_is_cut_as_any_bytes(head):
    assert cut(b"GGUF" + head) == [(4 + len(head), "")]


def test_members_of_archives_are_pieces_compressed_or_not():
    tensors = random_tensors(6, [LARGE, 2 * LARGE])
    sizes = {piece.size for piece in cut(makers.torch_zip(tensors, compressed=True))}
    assert {info.compress_size for info in archive(makers.torch_zip(tensors, compressed=True))[1:]} <= sizes


def archive(raw: bytes) -> list[zipfile.ZipInfo]:
    return zipfile.ZipFile(io.BytesIO(raw)).infolist()


def test_arrays_in_archives_have_their_dtypes():
    assert (LARGE, "F32") in cut(makers.npz(random_tensors(6, [LARGE])))


def test_an_archive_with_a_comment_is_one_as_well():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as written:
        written.writestr("a", bytes(LARGE))
        written.comment = b"PK" + bytes(60_000)
    assert (LARGE, "") in cut(out.getvalue())


def test_a_directory_that_points_elsewhere_is_not_believed():
    raw = makers.torch_zip(random_tensors(6, [LARGE]))
    at = raw.index(b"PK\1\2") + 42
    assert len(cut(raw[:at] + (5).to_bytes(4, "little") + raw[at + 4 :])) == 1


@pytest.mark.parametrize(("descr", "dtype"), [("<f2", "F16"), ("<f4", "F32"), ("<f8", "F64"), (">f4", ""), ("<i4", "")])
def test_an_array_is_apart_from_its_header(descr, dtype):
    assert cut(makers.npy(bytes(104), descr)) == [(128, ""), (104, dtype)]


def test_a_header_of_an_array_that_is_too_long_is_not_read():
    raw = b"\x93NUMPY\2\0" + (100_000).to_bytes(4, "little") + bytes(200_000)
    assert cut(raw) == [(len(raw), "")]


def test_tensors_anywhere_in_a_model_of_onnx_are_found():
    tensors = [random.Random(seed).randbytes(LARGE) for seed in range(5)]
    branch = field(1, field(5, field(5, onnx_tensor("c", tensors[2], kind=10))))
    node = field(5, field(1, b"then") + field(6, branch)) + field(5, field(10, onnx_tensor("d", tensors[3], kind=16)))
    sparse_tensor = field(1, onnx_tensor("v", tensors[4], kind=11)) + field(2, onnx_tensor("i", bytes(8), kind=7))
    graph = field(5, onnx_tensor("a", tensors[0])) + field(5, onnx_tensor("b", tensors[1], kind=1, number=4))
    raw = onnx_model(field(1, node) + graph + field(15, sparse_tensor))
    found = dict(zip(contents(raw), (piece.dtype for piece in cut(raw)), strict=True))
    assert [found.get(data) for data in tensors] == ["F32", "F32", "F16", "BF16", "F64"]


def located(**members: str) -> bytes:
    pairs = [field(13, field(1, key.encode()) + field(2, value.encode())) for key, value in members.items()]
    return field(5, field(2, 1) + b"".join(pairs) + field(14, 1))


def test_ranges_in_other_files_are_listed_once_by_their_locations():
    graph = (
        located(location="w.bin", offset="0", length="100")
        + located(location="w.bin", length="100")
        + located(location="../v", offset="7", length="9")
        + located(location="whole")
    )
    raw = onnx_model(graph)
    assert external(reader(raw), len(raw)) == {"w.bin": [(0, 100, "F32")], "../v": [(7, 9, "F32")]}


@pytest.mark.parametrize(
    "graph",
    [
        located(location="w", offset="x", length="1"),
        located(location="w", offset="1" * 5_000, length="1"),
        field(5, field(13, field(1, b"location"))),
        field(5, field(13, field(1, b"location") + field(2, b"\xff"))),
        field(5, field(13, field(1, b"location") + field(2, bytes(5_000)))),
        b"\x2a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\xff" * 40,
        b"\x0b\x0c",
    ],
)
def test_a_model_that_lies_has_no_ranges(graph):
    raw = onnx_model(graph)
    assert external(reader(raw), len(raw)) == {}
    assert len(cut(raw)) == 1


def test_given_ranges_are_cut():
    data = random.Random(7).randbytes(4 * LARGE)
    ranges = [(0, LARGE, "F16"), (2 * LARGE, 2 * LARGE, "BF16")]
    assert cut(data, ranges=ranges) == [(LARGE, "F16"), (LARGE, ""), (2 * LARGE, "BF16")]


# Files that are made to harm


def nested(depth: int) -> bytes:
    graph = field(5, onnx_tensor("deep", bytes(LARGE)))
    for _ in range(depth):
        graph = field(1, field(5, field(6, graph)))
    return onnx_model(graph)


def safetensors_header(text: bytes, length: int | None = None) -> bytes:
    return (len(text) if length is None else length).to_bytes(8, "little") + text


HOSTILE = {
    "a header of 2^63": safetensors_header(b"{}", 2**63),
    "a header of 2^64 - 1": safetensors_header(b"{", 2**64 - 1),
    "a header longer than the file": safetensors_header(b'{"a":1}', 99_999_999),
    "deep lists": safetensors_header(b'{"a":' + b"[" * 500_000 + b"]" * 500_000 + b"}"),
    "deep objects": safetensors_header(b'{"a":' * 300_000),
    "a long list": safetensors_header(b'{"a":[' + b"1," * 8_000_000 + b"1]}"),
    "many objects": safetensors_header(b'{"a":[' + b"{}," * 5_000_000 + b"{}]}"),
    "a long integer": safetensors_header(b'{"a":{"data_offsets":[0,' + b"9" * 1_000_000 + b"]}}"),
    "offsets that are none": safetensors_header(b'{"a":{"data_offsets":[0.5,1e3]},"b":{"data_offsets":[null,"1"]}}'),
    "three offsets": safetensors_header(b'{"a":{"data_offsets":[0,1,2]}}'),
    "no object": safetensors_header(b'{"data_offsets":[0,1]}'),
    "an empty archive": b"PK\3\4" + b"PK\5\6" + bytes(18),
    "a directory of 4 GiB": b"PK\3\4" + b"PK\5\6" + bytes(8) + b"\xfe\xff\xff\xff\4\0\0\0\0\0",
    "a directory without its record": b"PK\3\4" + bytes(99) + b"PK\5\6" + bytes(8) + b"\xff" * 8 + bytes(2),
    "a directory of nothing": b"PK\3\4" + bytes(99_996) + b"PK\5\6" + bytes(8) + struct.pack("<LLH", 100_000, 0, 0),
    "deep graphs": nested(200),
    "many strings": b"GGUF" + struct.pack("<LQQQ1sLLQ", 3, 0, 1, 1, b"k", 9, 8, 2**60) + bytes(2 * MIB),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_files_that_lie_cost_no_more_memory_than_their_headers(name):
    data = HOSTILE[name]
    tracemalloc.start()
    try:
        pieces = list(cuts(reader(data), len(data)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(piece.size for piece in pieces) == len(data)
    assert {piece.dtype for piece in pieces} == {""}
    assert peak <= 2 * len(data) + 16 * MIB


def test_members_that_lie_in_one_place_are_cut_once():
    tensors = random_tensors(6, [LARGE, LARGE, LARGE])
    raw = makers.torch_zip(tensors)
    third = raw.rindex(b"PK\1\2")
    second = raw.rindex(b"PK\1\2", 0, third)
    again = raw[: third + 42] + raw[second + 42 : second + 46] + raw[third + 46 :]
    assert large(tensors) - set(contents(again)) == {tensors["layer.2"]}


def test_a_file_of_more_headers_than_anybody_would_read_is_given_up(monkeypatch):
    raw = onnx_model(b"\x08\1" * 2_000 + field(5, onnx_tensor("a", bytes(LARGE))))
    assert (LARGE, "F32") in cut(raw)
    monkeypatch.setattr("modelvault.cuts.window._LOOKS", 2_000)
    assert cut(raw) == [(len(raw), "")]


def test_a_header_of_gguf_that_is_too_long_is_given_up(monkeypatch):
    raw = makers.gguf(random_tensors(6, [LARGE]))
    monkeypatch.setattr("modelvault.cuts.gguf.HEADER_LIMIT", 2_000)
    assert cut(raw) == [(len(raw), "")]


def test_failures_to_read_are_raised():
    def broken(offset: int, length: int) -> bytes:
        raise OSError(5, "input/output error")

    with pytest.raises(OSError, match="input/output"):
        list(cuts(broken, 10))


@pytest.mark.parametrize("length", [3_000_000, 20])
def test_a_file_that_has_become_shorter_is_cut_to_the_size_that_was_asked(length):
    data = random.Random(8).randbytes(length)
    assert sum(piece.size for piece in cuts(reader(data), 5_000_000)) == 5_000_000


# By content


def test_without_the_package_pieces_are_of_four_mebibytes(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyfastcdc", None)
    monkeypatch.setitem(sys.modules, "pyfastcdc.cy", None)
    assert cut(bytes(9 * MIB)) == [(4 * MIB, ""), (4 * MIB, ""), (MIB, "")]


def test_a_package_without_its_compiled_half_is_as_none(monkeypatch):
    """It warns when it is imported, and where warnings are errors it raises."""
    monkeypatch.setitem(sys.modules, "pyfastcdc.cy", None)
    monkeypatch.delitem(sys.modules, "pyfastcdc", raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cut(bytes(5 * MIB)) == [(4 * MIB, ""), (MIB, "")]


def test_content_says_where_to_cut():
    data = random.Random(9).randbytes(24 * MIB)
    before, after = contents(data), contents(data[: 5 * MIB] + b"new" + data[5 * MIB :])
    assert len(before) >= 8
    assert sum(map(len, set(after) - set(before))) <= 9 * MIB
    assert all(256 * KIB <= len(piece) <= 4 * MIB for piece in before[:-1])
    assert cut(data[:MIB]) == [(MIB, "")]


def test_joined_pieces_fall_into_step_again():
    source = random.Random(10)
    sizes = [Piece(source.randrange(256 * KIB, 4 * MIB)) for _ in range(40_000)]
    least = sum(piece.size for piece in sizes) // (MOST - 1)
    before, after = list(joined(sizes, least)), list(joined([Piece(77), *sizes], least))
    assert len(before) <= MOST
    assert sum(piece.size for piece in before) == sum(piece.size for piece in sizes)
    assert before[len(before) // 2 :] == after[-len(before[len(before) // 2 :]) :]


# Files of real packages


def test_files_that_safetensors_writes():
    arrays = {
        "a": np.arange(LARGE, dtype="f4"),
        "b": np.ones(7, "f2"),
        "c": np.ones(LARGE, "f8"),
        "d": np.ones(LARGE, "i1"),
    }
    raw = real.save(arrays, metadata={"note": "ümlaut"})
    pieces = dict(zip(contents(raw), (piece.dtype for piece in cut(raw)), strict=True))
    assert [pieces[arrays[name].tobytes()] for name in "acd"] == ["F32", "F64", ""]


def test_files_that_numpy_writes(tmp_path):
    array = np.random.default_rng(1).random(LARGE, dtype="f4")
    np.save(tmp_path / "one", array)
    np.savez(tmp_path / "many", small=np.ones(3), array=array, raw=np.ones(LARGE, ">i4"))
    np.savez_compressed(tmp_path / "packed", array=array)
    assert cut((tmp_path / "one.npy").read_bytes()) == [(128, ""), (4 * LARGE, "F32")]
    raw = (tmp_path / "many.npz").read_bytes()
    assert array.tobytes() in contents(raw)
    assert (4 * LARGE, "F32") in cut(raw)
    packed = (tmp_path / "packed.npz").read_bytes()
    assert archive(packed)[0].compress_size in {piece.size for piece in cut(packed)}


def test_models_that_onnx_writes(tmp_path):
    arrays = [np.random.default_rng(seed).random(LARGE).astype(kind) for seed, kind in enumerate(["f4", "f2", "f8"])]
    tensors = [onnx.numpy_helper.from_array(array, f"t{seed}") for seed, array in enumerate(arrays)]
    node = onnx.helper.make_node("Identity", ["t0"], ["y"])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [LARGE])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], [out], tensors))
    raw = model.SerializeToString()
    pieces = dict(zip(contents(raw), (piece.dtype for piece in cut(raw)), strict=True))
    assert [pieces[array.tobytes()] for array in arrays] == ["F32", "F16", "F64"]

    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin")
    model_file = (tmp_path / "m.onnx").read_bytes()
    found = external(lambda offset, length: model_file[offset : offset + length], len(model_file))
    data = (tmp_path / "w.bin").read_bytes()
    assert {array.tobytes() for array in arrays} <= set(contents(data, ranges=found["w.bin"]))
    assert [one.dtype for one in found["w.bin"]] == ["F32", "F16", "F64"]
