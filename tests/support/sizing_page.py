#!/usr/bin/env python3
"""The figures of natsessiond-sizing(7) are those that were measured.

  sizing_page.py RESULTS.md PAGE

Every row of every table below "## Sizing" in RESULTS.md is a line of the page, cell by cell, in the same order and with
nothing between them but spaces; and what can be worked out from other cells of a row is worked out again: sessions a
second from the CPU of a million, a month's disk from the bytes of a session.
"""
import re
import sys

SESSIONS_OF_A_MONTH = 1000 * 86_400 * 30


def tables(text):
    """The rows of each table of the section, without heads, by the first cell of its head."""
    section = re.search(r"^## Sizing\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    if not section:
        sys.exit("sizing_page: RESULTS.md has no section Sizing")
    found = {}
    head = None
    for line in section[1].splitlines():
        if not line.startswith("|"):
            head = None
            continue
        cells = [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
        if head is None:
            head = cells[0]
            found[head] = []
        elif not set(line) <= set("|- "):
            found[head].append(cells)
    return found


def wrong(found, page):
    lines = [" ".join(line.replace("\\-", "-").split()) for line in page.splitlines()]
    for head, rows in found.items():
        for row in rows:
            if " ".join(cell for cell in row if cell) not in lines:
                yield f"{head}: the page has no line {row}"
    for name, *cpu, rate in found["processor"]:
        slowest = max(float(seconds) for seconds in cpu if seconds)
        expected = f"{int(1_000_000 / slowest) // 10_000 * 10_000:,}"
        if rate != expected:
            yield f"{name}: {slowest} s a million are {expected} a second, not {rate}"
    size = {row[0]: row for row in found["disk"]}
    for name, month in found["month"]:
        expected = f"{float(size[name][1]) * SESSIONS_OF_A_MONTH / 1e9:.0f} GB"
        if month != expected:
            yield f"{name}: {size[name][1]} bytes a session are {expected} a month, not {month}"


def main():
    results, page = (open(path, encoding="utf-8").read() for path in sys.argv[1:])
    found = tables(results)
    missing = {"processor", "forwarding", "disk", "month", "memory", "buffers"} - found.keys()
    faults = [f"RESULTS.md has no table {head}" for head in sorted(missing)] or list(wrong(found, page))
    for fault in faults:
        print("sizing_page:", fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
