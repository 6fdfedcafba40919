"""A ledger that a newer program wrote, as far as this one can tell."""

HEADER_BYTES, VERSION_AT = 64, 8  # lib/ledger/FORMAT.md; the last four bytes are the checksum


def crc32c(data):
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def make_newer(segment):
    """Gives a segment's header the next version. Returns the header that it had."""
    with open(segment, "r+b") as file:
        before = file.read(HEADER_BYTES)
        assert before[:VERSION_AT] == b"NSLSEG\r\n", before
        header = bytearray(before[:-4])
        header[VERSION_AT] += 1
        file.seek(0)
        file.write(header + crc32c(header).to_bytes(4, "little"))
    return before
