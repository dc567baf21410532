"""The few protobuf encodings a trace needs: varints, and fields of the wire types 0 and 2 (protobuf.dev, encoding)."""

from __future__ import annotations

VARINT, BYTES = 0, 2


def varint(value: int) -> bytes:
    """A non-negative integer, seven bits a byte, lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    """An integer, enumeration or boolean field; negative numbers take ten bytes as the format asks for."""
    return varint(field << 3 | VARINT) + varint(value & 0xFFFFFFFFFFFFFFFF)


def chunk(field: int, content: bytes | str) -> bytes:
    """A string field, or one that holds a message."""
    data = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | BYTES) + varint(len(data)) + data
