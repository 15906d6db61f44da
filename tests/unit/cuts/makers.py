"""Files of every format, made of the same tensors with the standard library alone."""

import io
import json
import struct
import zipfile
from collections.abc import Callable

Tensors = dict[str, bytes]
"""Values of F32 by name."""


def safetensors(tensors: Tensors, note: str = "") -> bytes:
    header: dict[str, object] = {"__metadata__": {"note": note}}
    at = 0
    for name, data in tensors.items():
        header[name] = {"dtype": "F32", "shape": [len(data) // 4], "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"".join(tensors.values())


def torch_zip(tensors: Tensors, note: str = "", *, compressed: bool = False) -> bytes:
    """As `torch.save` writes it: a pickle, then a member a storage, aligned to 64 bytes by its extra field."""
    out = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(out, "w", kind) as archive:
        archive.writestr("archive/data.pkl", f"a pickle {note}")
        for name, data in tensors.items():
            member = zipfile.ZipInfo(f"archive/data/{name}")
            padding = -(out.tell() + 30 + len(member.filename) + 4) % 64
            member.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
            archive.writestr(member, data, kind)
    return out.getvalue()


def npy(data: bytes, descr: str = "<f4") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({len(data) // 4},), }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + data


def npz(tensors: Tensors, note: str = "") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("note.txt", note)
        for name, data in tensors.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                member.write(npy(data))
    return out.getvalue()


def zip64(tensors: Tensors, note: str = "") -> bytes:
    """`torch_zip` with its sizes and offsets where those of more than 4 GiB stand."""
    raw = torch_zip(tensors, note)
    length, offset, comment = struct.unpack_from("<LLH", raw, raw.rindex(b"PK\5\6") + 12)
    directory, at = b"", offset
    while at < offset + length:
        entry = bytearray(raw[at : at + 46])
        size, full, name, extra = struct.unpack_from("<2L2H", entry, 20)
        header = struct.unpack_from("<L", entry, 42)[0]
        large = b"FB\2\0ZZ" + struct.pack("<2H3Q", 1, 24, full, size, header)
        struct.pack_into("<2L", entry, 20, 0xFFFFFFFF, 0xFFFFFFFF)
        struct.pack_into("<H", entry, 30, len(large))
        struct.pack_into("<L", entry, 42, 0xFFFFFFFF)
        directory += bytes(entry) + raw[at + 46 : at + 46 + name] + large
        at += 46 + name + extra
    end = offset + len(directory)
    record = b"PK\6\6" + struct.pack("<Q2H2L4Q", 44, 45, 45, 0, 0, 1, 1, len(directory), offset)
    locator = b"PK\6\7" + struct.pack("<LQL", 0, end, 1)
    full_end = b"PK\5\6" + struct.pack("<4H2LH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, comment)
    return raw[:offset] + directory + record + locator + full_end


def gguf(tensors: Tensors, note: str = "", *, version: int = 3, kind: int = 0, alignment: int = 64) -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    pairs = [
        text("general.alignment") + struct.pack("<LL", 4, alignment),
        text("general.note") + struct.pack("<L", 8) + text(note),
        text("tokenizer.ggml.tokens") + struct.pack("<LLQ", 9, 8, 500) + b"".join(text(str(i)) for i in range(500)),
        text("tokenizer.ggml.scores") + struct.pack("<LLQ", 9, 6, 500) + bytes(2_000),
    ]
    infos, at = b"", 0
    for name, data in tensors.items():
        infos += text(name) + struct.pack("<LQLQ", 1, len(data) // 4, kind, at)
        at += len(data) + -len(data) % alignment
    body = b"".join(data + bytes(-len(data) % alignment) for data in tensors.values())
    header = b"GGUF" + struct.pack("<LQQ", version, len(tensors), len(pairs)) + b"".join(pairs) + infos
    return header + bytes(-len(header) % alignment) + body


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: bytes | int) -> bytes:
    """A field of Protocol Buffers."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def onnx_tensor(name: str, data: bytes, *, kind: int = 1, number: int = 9) -> bytes:
    return field(1, len(data) // 4) + field(2, kind) + field(8, name.encode()) + field(number, data)


def onnx_model(graph: bytes, note: str = "") -> bytes:
    return field(1, 8) + field(2, f"writer {note}".encode()) + field(7, graph) + field(8, field(2, 17))


def onnx(tensors: Tensors, note: str = "") -> bytes:
    node = field(1, b"x") + field(2, b"y") + field(4, b"Relu") + b"\x4d\0\0\0\0\x51" + bytes(8)
    initializers = [field(5, onnx_tensor(name, data)) for name, data in tensors.items()]
    return onnx_model(field(1, node) + field(2, b"graph") + b"".join(initializers), note)


FORMATS: dict[str, Callable[..., bytes]] = {
    "safetensors": safetensors,
    "torch": torch_zip,
    "npz": npz,
    "zip64": zip64,
    "gguf": gguf,
    "onnx": onnx,
}
