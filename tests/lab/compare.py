"""Record by record: what the log says against what the kernel and a capture say."""

from collections import defaultdict

from daemon import INSTANCE, VPC

CLOUD_FIELDS = [
    "instance", "vpc_id", "protocol", "pri_ip", "pri_port", "pub_ip", "pub_port", "nat_ip", "nat_port",
    "bytes_from_pub", "pkts_from_pub", "bytes_from_vpc", "pkts_from_vpc", "start_time", "end_time",
]
COUNTERS = ["bytes_from_pub", "pkts_from_pub", "bytes_from_vpc", "pkts_from_vpc"]
# What is the same in every record of a session.
IDENTITY = ["instance", "vpc_id", "protocol", "pri_ip", "pri_port", "pub_ip", "pub_port", "nat_ip",
            "nat_port", "orig_dst_ip", "orig_dst_port", "zone", "mark", "session_start"]
STAMP_SLACK_MS = 1000  # between the kernel's stamp and the receipt of NEW


def to_ms(seconds):
    """A time of a record, unix seconds with milliseconds, as whole ms."""
    if seconds is None:
        return None
    milliseconds = seconds * 1000
    assert milliseconds == int(milliseconds), f"finer than a millisecond: {seconds}"
    return int(milliseconds)


def is_logged(flow, nat="snat"):
    return {"snat": flow.source_nat, "dnat": flow.destination_nat,
            "any": flow.source_nat or flow.destination_nat}[nat]


def expected(flow):
    """The fields of the record (or of the sum of the records) of one flow."""
    fields = {"instance": INSTANCE, "vpc_id": VPC, "protocol": flow.protocol, "zone": flow.zone or None,
              "mark": flow.mark or None, "orig_dst_ip": None, "orig_dst_port": None}
    original, reply = flow.original, flow.reply
    if flow.source_nat:
        vpc, pub = original, reply
        fields |= {"pri_ip": original.source, "pri_port": original.source_port, "pub_ip": reply.source,
                   "pub_port": original.destination_port if flow.is_echo else reply.source_port,
                   "nat_ip": reply.destination,
                   "nat_port": flow.echo_id if flow.is_echo else reply.destination_port}
        if flow.destination_nat:
            fields |= {"orig_dst_ip": original.destination, "orig_dst_port": original.destination_port}
    else:
        vpc, pub = reply, original
        fields |= {"pri_ip": reply.source, "pri_port": reply.source_port, "pub_ip": original.source,
                   "pub_port": original.source_port, "nat_ip": original.destination,
                   "nat_port": original.destination_port}
    fields |= {"bytes_from_pub": pub.bytes, "pkts_from_pub": pub.packets,
               "bytes_from_vpc": vpc.bytes, "pkts_from_vpc": vpc.packets}
    fields |= {"session_start": None if flow.start_ns is None else flow.start_ns // 1_000_000,
               "end_time": None if flow.stop_ns is None else flow.stop_ns // 1_000_000}
    return fields


def identity(record):
    values = {name: record.get(name) for name in IDENTITY}
    values["session_start"] = to_ms(values["session_start"])
    return values


def total(records, counter):
    """The sum over a session's records; a start record tells of no traffic."""
    values = [r[counter] for r in records if r["event"] != "start"]
    return None if None in values else sum(values)


def by_session(records):
    """{session_id: its records in order of seq}, gaps aside."""
    sessions = defaultdict(list)
    for record in records:
        if record["event"] != "gap":
            sessions[record["session_id"]].append(record)
    return {key: sorted(group, key=lambda r: r["seq"]) for key, group in sessions.items()}


def check_session(group, window_ms, mode):
    """What is wrong with the records of one session among themselves."""
    wrong = []
    if [r["seq"] for r in group] != list(range(len(group))):
        wrong.append(f"seq is {[r['seq'] for r in group]}")
    if any(identity(r) != identity(group[0]) for r in group):
        wrong.append("the records differ in what should be the same in all of a session")
    if [r["event"] for r in group].count("end") != 1 or group[-1]["event"] != "end":
        wrong.append(f"events are {[r['event'] for r in group]}, not one end, at the end")
    for before, after in zip(group, group[1:]):
        if to_ms(after["start_time"]) < to_ms(before["end_time"]):
            wrong.append(f"slice {after['seq']} begins before slice {before['seq']} ends")
    for record in group:
        start, end, begun = (to_ms(record[name]) for name in ("start_time", "end_time", "session_start"))
        if list(record)[:len(CLOUD_FIELDS)] != CLOUD_FIELDS:
            wrong.append(f"the first fields are {list(record)[:len(CLOUD_FIELDS)]}")
        if record["event"] == "start" and any(record[counter] is not None for counter in COUNTERS):
            wrong.append("a start record with traffic")
        if start > end:
            wrong.append(f"start_time {start} is after end_time {end}")
        if begun is None:
            continue
        if mode != "window" and start != begun:
            wrong.append(f"start_time {start} is not the session's, {begun}")
        if mode == "window" and window_ms:
            # A time that is just on a boundary belongs to either window.
            fitting = {max(begun, moment // window_ms * window_ms) for moment in (end, end - 1)}
            if start not in fitting:
                wrong.append(f"start_time {start} is not the later of session {begun} and window; end {end}")
    return wrong


def compare(records, flows, nat="snat", window_ms=600_000, mode="window", capture=None):
    """Every difference between the records and the flows that ended, as lines of text."""
    differences = []
    sessions = by_session(records)
    # A start record is written before the kernel tells its stamp: the session began when its NEW came.
    names = IDENTITY[:-1] if mode == "start-end" else IDENTITY
    unclaimed = {}
    for session_id, group in sessions.items():
        differences += [f"session {session_id}: {wrong}" for wrong in check_session(group, window_ms, mode)]
        key = tuple(identity(group[0])[name] for name in names)
        if key in unclaimed:
            differences.append(f"two session ids for one session: {session_id}, {unclaimed[key]}")
        unclaimed[key] = session_id
    for flow in flows:
        if not is_logged(flow, nat):
            continue
        fields = expected(flow)
        session_id = unclaimed.pop(tuple(fields[name] for name in names), None)
        if session_id is None:
            differences.append(f"not in the log: {fields}")
            continue
        group = sessions[session_id]
        if abs((to_ms(group[0]["session_start"]) or 0) - (fields["session_start"] or 0)) > STAMP_SLACK_MS:
            differences.append(f"session {session_id}: session_start {group[0]['session_start']}: {fields}")
        for counter in COUNTERS:
            if total(group, counter) != fields[counter]:
                differences.append(
                    f"session {session_id}: {counter} is {total(group, counter)}, not {fields[counter]}")
        end_time = to_ms(group[-1]["end_time"])
        if fields["end_time"] not in (None, end_time):
            differences.append(f"session {session_id}: end_time {end_time} not {fields['end_time']}")
    differences += [f"in the log, but not in the kernel: {sessions[i]}" for i in unclaimed.values()]
    if capture is not None:
        differences += compare_with_capture(records, capture)
    return differences


def compare_with_capture(records, capture):
    """`capture` saw the inner side of a source NAT. Sessions on one 5-tuple are added up."""
    logged = defaultdict(lambda: [0, 0])
    for record in records:
        pri, pub = (record["pri_ip"], record["pri_port"]), (record["pub_ip"], record["pub_port"])
        for key, packets, size in (((*pri, *pub), "pkts_from_vpc", "bytes_from_vpc"),
                                   ((*pub, *pri), "pkts_from_pub", "bytes_from_pub")):
            key = (record["protocol"], *key)
            logged[key][0] += record[packets]
            logged[key][1] += record[size]
    return [f"{key}: the log has {logged.get(key)} packets and bytes, the capture {capture.get(key)}"
            for key in sorted(logged.keys() | capture.keys())
            if logged.get(key, [0, 0]) != capture.get(key, [0, 0])]
