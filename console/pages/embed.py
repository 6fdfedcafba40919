#!/usr/bin/env python3
"""embed.py OUT FILE...: writes a C++ file with the bytes of these files for pages/assets.h.

A file is asked for by its name; "PATH=FILE" gives it another one.
"""
import hashlib
import pathlib
import sys

TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".json": "application/json", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8"}


def literal(data: bytes) -> str:
    numbers = [str(byte) for byte in data]
    return ",\n".join(",".join(numbers[at:at + 64]) for at in range(0, len(numbers), 64))


def main() -> None:
    out, *files = sys.argv[1:]
    text = ['#include "pages/assets.h"\n', "namespace natsession::console {\nnamespace {\n"]
    rows = []
    for number, given in enumerate(files):
        name, _, path = given.rpartition("=")
        file = pathlib.Path(path)
        name = name or file.name
        data = file.read_bytes()
        tag = hashlib.sha256(data).hexdigest()[:16]
        text.append(f"constexpr unsigned char kFile{number}[] = {{{literal(data)}}};\n")
        rows.append(f'    {{"/{name}", "{TYPES[file.suffix]}", "\\"{tag}\\"", text(kFile{number})}},')
    text.append("template <std::size_t Size>\nstd::string_view text(const unsigned char (&bytes)[Size]) {\n"
                "  return {reinterpret_cast<const char*>(bytes), Size};  // NOLINT: bytes are text\n}\n}  // namespace\n")
    text.append("std::span<const Asset> assets() {\n  static const Asset kAssets[] = {\n" + "\n".join(rows)
                + "\n  };\n  return kAssets;\n}\n}  // namespace natsession::console\n")
    pathlib.Path(out).write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
