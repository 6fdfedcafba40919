"""natsessionctl-json(5), compared with what natsessionctl prints."""

import re
from pathlib import Path

PAGE = Path(__file__).parent.parent.parent / "packaging/man/natsessionctl-json.5"

# Members that are not always there, as the page says.
SOMETIMES = re.compile(r"(^|\.)(netns|zone|orig_dst_ip|orig_dst_port|warning|address_seen|error|ledger|missing|covered_until|"
                       r"session_start|followed_from|followed_until|followed_before|followed_again)(\.|$)|\\[\\]$")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)")
TYPES = {"time": lambda value: isinstance(value, str) and TIME.fullmatch(value),
         "text": lambda value: isinstance(value, str),
         "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
         "yes or no": lambda value: isinstance(value, bool),
         "object": lambda value: isinstance(value, dict),
         "value": lambda value: not isinstance(value, (dict, list))}


def section(title):
    """{path: type} of one answer."""
    page = PAGE.read_text().replace("\\-", "-")
    for part in re.split(r"^\.SS ", page, flags=re.M)[1:]:
        head, body = part.split("\n", 1)
        if re.split("[,:]", head.strip('"'))[0] == title:
            return dict(re.findall(r'^\.BI "(\S+?)\\~" "(.+)"$', body, flags=re.M))
    raise AssertionError(f"{PAGE} has nothing of {title}")


def members(value, path=""):
    """(path, value) of all that is in an answer."""
    if path:
        yield path, value
    if isinstance(value, dict):
        for name, part in value.items():
            yield from members(part, f"{path}.{name}" if path else name)
    if isinstance(value, list):
        for part in value:
            yield from members(part, path + "[]")


def differences(answer, told):
    found, seen, nulls = [], set(), set()
    for path, value in members(answer):
        seen.add(path)
        if value is None:
            nulls.add(path)
        if isinstance(value, list) or any(name.startswith((path + ".", path + "[")) for name in told) and path not in told:
            continue
        known = path if path in told else re.sub(r"[^.]+$", "FIELD", path)
        known = known if known in told else re.sub(r"[^.]+$", "COLUMN", path)
        if known not in told:
            found.append(f"{path} is not documented")
            continue
        seen.add(known)
        kind, _, null = told[known].partition(" or null")
        null = told[known].endswith(" or null")
        if not (null and value is None or TYPES[kind](value) or told[known] == "value" and value is None):
            found.append(f"{path} is {value!r}, and not {told[known]}")
    for path in told:
        above = path.rpartition(".")[0]
        there = path in seen or path.endswith("[]") or SOMETIMES.search(path) or above and above not in seen or above in nulls
        if not there:
            found.append(f"{path} is documented, and not there")
    return sorted(set(found))
