"""What a cloud's log service reads of a request's body: LZ4 blocks, zstd, and protobuf; from their specifications, not
from the sinks (lz4_Block_format.md; protobuf.dev/programming-guides/encoding)."""

import subprocess


class Malformed(Exception):
    pass


def unlz4(block, limit):
    """One block of LZ4, without frame or length. limit: so long it may become."""
    out, at = bytearray(), 0

    def more(length):
        nonlocal at
        while length >= 15:
            byte = block[at]
            at += 1
            length += byte
            if byte != 255:
                break
        return length
    try:
        while True:
            token = block[at]
            at += 1
            literals = more(token >> 4)
            if at + literals > len(block):
                raise Malformed("literals are cut")
            out += block[at:at + literals]
            at += literals
            if at == len(block):
                return bytes(out)
            offset = block[at] | block[at + 1] << 8
            at += 2
            length = more(token & 15) + 4
            if not 0 < offset <= len(out) or len(out) + length > limit:
                raise Malformed("a copy from before the beginning, or beyond the limit")
            while length:
                part = out[-offset:][:length]
                out += part
                length -= len(part)
    except IndexError:
        raise Malformed("the block is cut") from None


def unzstd(frame):
    done = subprocess.run(["zstd", "-dc"], input=frame, capture_output=True, check=False)
    if done.returncode:
        raise Malformed(done.stderr.decode(errors="replace"))
    return done.stdout


def varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Malformed("a varint is cut or too long")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def fields(data):
    """(number, value) of each field: a number, or bytes."""
    at, found = 0, []
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 in (1, 5):
            length = 8 if key & 7 == 1 else 4
            value, at = int.from_bytes(data[at:at + length], "little"), at + length
        elif key & 7 == 2:
            length, at = varint(data, at)
            value, at = data[at:at + length], at + length
        else:
            raise Malformed("an unknown wire type")
        if at > len(data):
            raise Malformed("a field is cut")
        found.append((key >> 3, value))
    return found


def text(value):
    try:
        return value.decode()
    except (UnicodeDecodeError, AttributeError):
        raise Malformed("a text is not UTF-8") from None


def logs_of_group(data):
    """Of a LogGroup: [(time, {name: value})], and its source."""
    logs, source = [], ""
    for number, value in fields(data):
        if number == 4:
            source = text(value)
        if number != 1:
            continue
        parts = fields(value)
        times = [part for which, part in parts if which == 1]
        if len(times) != 1 or not isinstance(times[0], int):
            raise Malformed("a log without its time")
        contents = {}
        for which, part in parts:
            if which != 2:
                continue
            pair = dict(fields(part))
            if set(pair) != {1, 2}:
                raise Malformed("a content is not a key and a value")
            contents[text(pair[1])] = text(pair[2])
        logs.append((times[0], contents))
    return logs, source
