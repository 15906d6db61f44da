"""Coding: what comes out is what went in, it is smaller, and no stored bytes make a reader do more than it was told."""

import mmap
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelvault import coding
from modelvault.coding import Coded, decode, encode
from modelvault.errors import Code, Corrupt, InvalidInput, Unsupported, VaultError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MEBIBYTE = 1024 * 1024
SLACK = 16 * MEBIBYTE
ENCS = ["zstd", "planes2+zstd", "planes4+zstd", "planes8+zstd", "delta1+zstd", "delta2+zstd", "delta4+zstd", "delta8+zstd"]  # fmt: skip
ON_BASE = [enc for enc in ENCS if enc.startswith("delta")]
WIDTHS = {"": 1, "U8": 1, "BF16": 2, "F16": 2, "F32": 4, "F64": 8}
SPECIAL = {
    "BF16": [0x0000, 0x8000, 0x7F80, 0xFF80, 0x7FC0, 0xFFC1, 0x7F81, 0x0001, 0x3F80, 0xFFFF],
    "F16": [0x0000, 0x8000, 0x7C00, 0xFC00, 0x7E00, 0xFE01, 0x7C01, 0x0001, 0x3C00, 0xFFFF],
    "F32": [0, 1 << 31, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00001, 0x7F800001, 1, 0x3F800000, 2**32 - 1],
    "F64": [0, 1 << 63, 0x7FF << 52, 0xFFF << 52, 0xFFF8 << 48, (0xFFF8 << 48) + 1, (0x7FF << 52) + 1, 1, 2**64 - 1],
}
"""Both zeros, infinities, NaNs quiet and signalling with payloads, the smallest, one, all bits."""


def coded(enc: str, raw: bytes, base: bytes | None = None) -> bytes:
    """`raw` under this very coding, whether or not it pays."""
    octets = None if base is None else np.frombuffer(base, "u1")
    return b"".join(coding._frames(coding._CODINGS[enc], np.frombuffer(raw, "u1"), octets))


def weights(count: int, seed: int = 0) -> np.ndarray:
    """Single-precision weights of one layer."""
    return np.random.default_rng(seed).standard_normal(count, "f4") * np.float32(0.02)


def tuned(found: np.ndarray) -> np.ndarray:
    """Each moved by 1 % of their deviation."""
    return found + np.random.default_rng(1).standard_normal(len(found), "f4") * np.float32(0.0002)


def bf16(found: np.ndarray) -> np.ndarray:
    """Rounded to the nearest, ties to even."""
    words = found.view("u4")
    return ((words + 0x7FFF + (words >> 16 & 1)) >> 16).astype("u2")


def percent(found: Coded | None, raw: bytes) -> float:
    assert found is not None
    return 100 * len(found.data) / len(raw)


def contents(data: bytes) -> list[bytes]:
    """Of each frame."""
    found = []
    while data:
        frame = zstd.ZstdDecompressor()
        found.append(frame.decompress(data))
        data = frame.unused_data
    return found


# --- round trips


@pytest.mark.parametrize("enc", ENCS)
@given(raw=st.binary(max_size=100), seed=st.integers(0, 99))
@example(raw=b"", seed=0)
def test_every_coding_of_any_bytes_decodes_to_them(enc, raw, seed):
    base = np.random.default_rng(seed).bytes(len(raw))
    assert decode(enc, coded(enc, raw, base), len(raw), base) == raw


@pytest.mark.parametrize("enc", ENCS)
@pytest.mark.parametrize("size", [MEBIBYTE - 1, MEBIBYTE, MEBIBYTE + 1, 2 * MEBIBYTE + 7])
def test_blocks_meet(enc, size):
    raw, base = (bf16(weights(size)).tobytes()[:size] for _ in range(2))
    assert decode(enc, coded(enc, raw, base), size, base) == raw


@pytest.mark.parametrize(("dtype", "made"), [("BF16", bf16), ("F32", lambda found: found)])
def test_runs_on_several_cores_meet(dtype, made):
    size = 2 * coding._RUN + 5
    raw, base = (made(one).tobytes()[:size] for one in (tuned(weights(size // 2 + 1)), weights(size // 2 + 1)))
    for other in (None, base):
        found = encode(raw, dtype=dtype, base=other)
        assert found.data == coded(found.enc, raw, other)
        assert decode(found.enc, found.data, size, other) == raw


@pytest.mark.parametrize("dtype", SPECIAL)
@given(data=st.data())
def test_special_values_keep_their_bits(dtype, data):
    words = st.lists(st.sampled_from(SPECIAL[dtype]), min_size=64, max_size=64)
    raw, base = (np.array(data.draw(words) * 20, f"<u{WIDTHS[dtype]}").tobytes() for _ in range(2))
    for other in (None, base):
        found = encode(raw, dtype=dtype, base=other)
        assert found is not None
        assert decode(found.enc, found.data, len(raw), other) == raw
    for kind in ("planes", "delta"):
        enc = f"{kind}{WIDTHS[dtype]}+zstd"
        assert decode(enc, coded(enc, raw, base), len(raw), base) == raw


@given(
    dtype=st.sampled_from(sorted(WIDTHS)),
    size=st.integers(0, 3 * coding._SAMPLE),
    values=st.sampled_from([1, 2, 250, 2**16]),
    moved=st.sampled_from([None, 0.0, 0.01, 1.0]),
)
def test_what_is_encoded_is_smaller_and_decodes(dtype, size, values, moved):
    rng = np.random.default_rng(size)
    words = rng.integers(0, values, size + 8).astype(f"<u{max(2, WIDTHS[dtype])}")
    raw = words.tobytes()[1 : size + 1]
    base = None if moved is None else np.where(rng.random(len(words)) < moved, words + 1, words).tobytes()[1 : size + 1]
    found = encode(raw, dtype=dtype, base=base)
    if found is not None:
        assert len(found.data) < 0.97 * size
        assert decode(found.enc, found.data, size, base) == raw


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, "mapped", "odd address", "of numbers"])
def test_any_buffer_will_do(kind):
    plain, base = (bf16(one).tobytes() for one in (weights(50_000), tuned(weights(50_000))))

    def held(data):
        if kind == "mapped":
            mapped = mmap.mmap(-1, len(data))
            mapped[:] = data
            return memoryview(mapped).toreadonly()
        if kind == "of numbers":
            return memoryview(np.frombuffer(data, "u2").reshape(2, -1))
        return memoryview(b"x" + data)[1:] if kind == "odd address" else kind(data)

    for other in (None, held(base)):
        found = encode(held(plain), dtype="BF16", base=other)
        assert found == encode(plain, dtype="BF16", base=None if other is None else base)
        out = decode(found.enc, bytearray(found.data), len(plain), other)
        assert out == plain
        assert memoryview(out).readonly


# --- the format


def turned(word: int, bits: int, by: int) -> int:
    return (word << by | word >> (bits - by)) & (1 << bits) - 1


@pytest.mark.parametrize(("width", "by"), [(2, 1), (4, 1), (8, 4)])
@given(data=st.data())
def test_planes_are_the_bytes_of_turned_words_from_the_top(width, by, data):
    words = data.draw(st.lists(st.integers(0, 2 ** (8 * width) - 1), min_size=1, max_size=9))
    raw = b"".join(word.to_bytes(width, "little") for word in words)
    top_first = [turned(word, 8 * width, by).to_bytes(width, "big") for word in words]
    assert contents(coded(f"planes{width}+zstd", raw)) == [bytes(plane) for plane in zip(*top_first, strict=True)]


@pytest.mark.parametrize("width", [1, 2, 4, 8])
@given(data=st.data())
def test_a_delta_is_the_zigzag_of_differences(width, data):
    half = 2 ** (8 * width - 1)
    word = st.integers(0, 2 * half - 1)
    pairs = data.draw(st.lists(st.tuples(word, word), min_size=1, max_size=9))
    raw, base = (b"".join(word.to_bytes(width, "little") for word in words) for words in zip(*pairs, strict=True))
    near = [(ours - theirs + half) % (2 * half) - half for ours, theirs in pairs]
    top_first = [(2 * one if one >= 0 else -2 * one - 1).to_bytes(width, "big") for one in near]
    assert contents(coded(f"delta{width}+zstd", raw, base)) == [bytes(plane) for plane in zip(*top_first, strict=True)]


def test_a_part_of_three_values_to_the_byte():
    ones = bytes.fromhex("803f 80bf 003f")  # 1, -1 and 0.5 of bf16
    assert contents(coded("planes2+zstd", ones)) == [bytes.fromhex("7f7f7e"), bytes.fromhex("000100")]
    assert contents(coded("delta2+zstd", ones, bytes.fromhex("7f3f 80bf 023f"))) == [bytes(3), bytes.fromhex("020003")]
    assert contents(coded("planes2+zstd", ones[:5])) == [bytes.fromhex("7f7f00"), bytes.fromhex("000100")]


def test_any_zstd_undoes_the_last_step():
    raw = b"a model " * 400_000
    found = encode(raw)
    assert found.enc == "zstd"
    assert zstd.decompress(found.data) == raw


# --- what it is worth


@pytest.mark.parametrize(
    ("dtype", "made", "limit"),
    [
        ("BF16", bf16, 67.0),
        ("F32", lambda found: found, 84.0),
        ("F16", lambda found: found.astype("f2"), 85.0),
        ("F64", lambda found: found.astype("f8") * np.pi, 88.0),
    ],
)
def test_weights_are_as_small_as_their_exponents_allow(dtype, made, limit):
    raw = made(weights(2_000_000)).tobytes()
    found = encode(raw, dtype=dtype)
    assert found.enc == f"planes{WIDTHS[dtype]}+zstd"
    assert percent(found, raw) <= limit
    assert percent(found, raw) < (percent(plain, raw) if (plain := encode(raw)) else 97)


@pytest.mark.parametrize(("dtype", "made", "limit"), [("BF16", bf16, 30.0), ("F32", lambda found: found, 65.0)])
def test_a_fine_tune_is_smaller_on_its_base(dtype, made, limit):
    before = weights(2_000_000)
    raw, base = made(tuned(before)).tobytes(), made(before).tobytes()
    found = encode(raw, dtype=dtype, base=base)
    assert found.enc == f"delta{WIDTHS[dtype]}+zstd"
    assert percent(found, raw) <= limit
    assert decode(found.enc, found.data, len(raw), base) == raw


def test_a_base_that_does_not_help_is_not_used():
    raw, base = (bf16(weights(1_000_000, seed)).tobytes() for seed in (2, 3))
    assert encode(raw, dtype="BF16", base=base) == encode(raw, dtype="BF16")


def test_bytes_are_smaller_on_a_base_that_they_resemble():
    base = np.random.default_rng(0).bytes(300_000)
    raw = bytearray(base)
    raw[::1000] = bytes(300)
    found = encode(raw, base=base)
    assert found.enc == "delta1+zstd"
    assert percent(found, raw) < 1
    assert decode(found.enc, found.data, len(raw), base) == raw


@pytest.mark.parametrize("dtype", WIDTHS)
def test_what_does_not_pay_is_not_coded_and_costs_an_eighth_at_most(dtype, monkeypatch):
    tried = 0
    packed = coding._packed

    def counted(plane, width):
        nonlocal tried
        tried += len(plane)
        return packed(plane, width)

    monkeypatch.setattr(coding, "_packed", counted)
    rng = np.random.default_rng(0)
    assert encode(b"", dtype=dtype) is None
    for size in (1, 100_000, 6 * MEBIBYTE):
        assert encode(rng.bytes(size), dtype=dtype, base=rng.bytes(size)) is None
    candidates = 2 if WIDTHS[dtype] == 1 else 3
    assert tried <= candidates * (6 * MEBIBYTE / 8 + 2 * coding._SAMPLE)


def test_a_promise_that_is_not_kept_is_not_coded():
    assert encode(bytes(coding._SAMPLE) + np.random.default_rng(0).bytes(coding._SAMPLE * 7)) is not None
    assert encode(bytes(coding._SAMPLE) + np.random.default_rng(0).bytes(coding._SAMPLE * 40)) is None


# --- hostile and damaged


def refused(enc: str, data: bytes, size: int, base: bytes | None = None) -> str:
    with pytest.raises(Corrupt) as raised:
        decode(enc, data, size, base)
    return raised.value.code


RAW = bf16(weights(300)).tobytes() + b"\x01"
BASE = bytes(len(RAW))


@pytest.mark.parametrize("enc", ENCS)
def test_cut_extended_or_of_another_size_is_corrupt(enc):
    data = coded(enc, RAW, BASE)
    for cut in range(len(data)):
        assert refused(enc, data[:cut], len(RAW), BASE) == Code.DIGEST_MISMATCH
    for more in (b"\0", b"\x28\xb5", zstd.compress(b""), zstd.compress(b"x"), b"\x50\x2a\x4d\x18\0\0\0\0", data):
        assert refused(enc, data + more, len(RAW), BASE) == Code.DIGEST_MISMATCH
        assert refused(enc, more + data, len(RAW), BASE) == Code.DIGEST_MISMATCH
    width = coding._CODINGS[enc].width
    for size in (0, 1, len(RAW) - width, len(RAW) + width, MEBIBYTE, 2**62):
        assert refused(enc, data, size, bytes(size) if size < 2**30 and enc in ON_BASE else None) in {
            Code.DIGEST_MISMATCH,
            Code.BAD_RECORD,
        }


@pytest.mark.parametrize("enc", ENCS)
def test_any_flipped_bit_is_corrupt_or_gives_as_many_bytes(enc):
    data = coded(enc, RAW[:201], BASE[:201])
    for spot in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[spot // 8] ^= 1 << spot % 8
        try:
            assert len(decode(enc, flipped, 201, BASE[:201])) == 201
        except Corrupt as error:
            assert error.code == Code.DIGEST_MISMATCH


@given(
    enc=st.sampled_from(ENCS),
    data=st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: b"\x28\xb5\x2f\xfd" + tail),
    size=st.integers(0, 100),
)
def test_noise_is_corrupt_or_gives_as_many_bytes(enc, data, size):
    try:
        assert len(decode(enc, data, size, bytes(size))) == size
    except Corrupt as error:
        assert error.code == Code.DIGEST_MISMATCH


def bomb(size: int) -> bytes:
    """A frame of zeros, which does not tell its size."""
    made = zstd.ZstdCompressor()
    pieces = [made.compress(bytes(MEBIBYTE)) for _ in range(size // MEBIBYTE)]
    return b"".join([*pieces, made.flush()])


def peak(work) -> int:
    """Of bytes that Python and numpy held at a time."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("enc", ENCS)
def test_a_bomb_does_not_go_off(enc):
    for data in (bomb(256 * MEBIBYTE), zstd.compress(bytes(64 * MEBIBYTE))):
        assert len(data) < MEBIBYTE
        assert peak(lambda data=data: refused(enc, data, 1000, bytes(1000))) < MEBIBYTE


def test_sizes_that_no_frames_could_fill_take_no_memory():
    assert peak(lambda: refused("zstd", zstd.compress(bytes(1000)), 2**62)) < MEBIBYTE


def test_a_frame_may_not_ask_for_a_large_window():
    for log, allowed in ((23, True), (24, False), (30, False)):
        wide = {zstd.CompressionParameter.window_log: log, zstd.CompressionParameter.content_size_flag: 0}
        made = zstd.ZstdCompressor(options=wide)
        data = made.compress(b"data") + made.flush()
        assert (decode("zstd", data, 4) == b"data") if allowed else refused("zstd", data, 4)


@pytest.mark.parametrize("enc", ENCS)
def test_memory_is_bounded_whatever_the_size(enc):
    size = 24 * MEBIBYTE
    raw = bf16(weights(size // 2)).tobytes()
    data = coded(enc, raw, raw)
    assert peak(lambda: decode(enc, data, size, raw)) < size + SLACK


def test_a_base_that_is_missing_or_of_another_size_is_refused():
    for enc in ON_BASE:
        data = coded(enc, RAW, BASE)
        assert refused(enc, data, len(RAW)) == Code.BAD_RECORD
        assert refused(enc, data, len(RAW), BASE[1:]) == Code.BAD_RECORD
    with pytest.raises(InvalidInput) as raised:
        encode(RAW, base=BASE[1:])
    assert raised.value.code == Code.BAD_VALUE


def test_another_base_gives_other_bytes():
    data = coded("delta2+zstd", RAW, BASE)
    assert decode("delta2+zstd", data, len(RAW), b"\x01" + BASE[1:]) != RAW


@pytest.mark.parametrize("enc", ["", "zst", "ZSTD", "zstd+zstd", "planes3+zstd", "planes2", "xor+planes2+zstd", "\x1b[2J", "x" * 9999])  # fmt: skip
def test_a_coding_of_a_later_release_is_unsupported(enc):
    with pytest.raises(Unsupported) as raised:
        decode(enc, b"", 0)
    assert raised.value.code == Code.NEWER_FORMAT
    assert str(raised.value).isprintable()


# --- without the extra


@pytest.mark.parametrize("missing", ["numpy", zstd.__name__])
def test_without_the_extra_it_says_what_to_install(missing, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    if missing == "backports.zstd":
        monkeypatch.delattr("backports.zstd", raising=False)
    for work in (lambda: encode(b"x" * 100), lambda: decode("zstd", b"x", 1)):
        with pytest.raises(VaultError) as raised:
            work()
        assert (type(raised.value), raised.value.code) == (Unsupported, Code.EXTRA_MISSING)
        assert raised.value.hint == "pip install 'modelvault-sdk[compress]'"
