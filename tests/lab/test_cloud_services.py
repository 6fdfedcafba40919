"""The services that the clouds' sinks are tested against, against the vectors of the clouds' own SDKs and documents: what
checks the sinks must itself be able to fail. No root, no network, no daemon."""

import hashlib
import subprocess
import unittest

import cloud_wire
from cloud_services import EMPTY_STATE, Cls, Lts, Refused, Request, Sls, sha256

KEY = "mockAccessKeySecret"
INNER = bytes.fromhex("0a1e08f8b2939e0512160a07546573744b6579120b54657374436f6e74656e741a00220e31302e3233302e3230312e313137")
LITERALS = b"\xf0\x23" + INNER


def upper_md5(data):
    return hashlib.md5(data).hexdigest().upper()


class WireTest(unittest.TestCase):
    def test_an_lz4_block_of_the_reference_program_is_read(self):
        plain = b"".join(b"record %d of a log, " % (n % 17) for n in range(5000))
        legacy = subprocess.run(["lz4", "-l", "-c"], input=plain, capture_output=True, check=True).stdout
        self.assertEqual(legacy[:4].hex(), "02214c18")  # the legacy frame: a length, and a block without frame
        length = int.from_bytes(legacy[4:8], "little")
        self.assertEqual(cloud_wire.unlz4(legacy[8:8 + length], 1 << 20), plain)
        self.assertEqual(cloud_wire.unlz4(LITERALS, 100), INNER)
        for bad in (b"", b"\xf0", LITERALS[:-1], b"\x10a\x05\x00", b"\x1fa\x01\x00\xff\xff\xff\x00"):
            with self.assertRaises(cloud_wire.Malformed):
                cloud_wire.unlz4(bad, 700)

    def test_the_groups_of_the_examples_are_read(self):
        logs, source = cloud_wire.logs_of_group(INNER)
        self.assertEqual((logs, source), ([(1405409656, {"TestKey": "TestContent"})], "10.230.201.117"))
        example = bytes.fromhex("0a1308f8b2939e0512060a016b1201762500f36f061a017422017332120a0b5f5f7061636b5f69645f5f1203412d30")
        self.assertEqual(cloud_wire.logs_of_group(example), ([(1405409656, {"k": "v"})], "s"))
        for bad in (INNER[:-1], b"\x0a\x02\x12\x00", b"\x0b"):
            with self.assertRaises(cloud_wire.Malformed):
                cloud_wire.logs_of_group(bad)


class SlsTest(unittest.TestCase):
    def test_signature_1(self):
        date = "Mon, 3 Jan 2010 08:33:47 GMT"
        common = {"date": date, "x-log-apiversion": "0.6.0", "x-log-signaturemethod": "hmac-sha1"}
        listing = Request("GET", "/logstores", {**common, "x-log-bodyrawsize": "0"}, b"")
        self.assertEqual(Sls.signature_1(listing, KEY), "Rwm6cTKzoti4HWoe+GKcb6Kv07E=")
        body = b"\x0a\x32" + INNER
        put = {**common, "x-log-bodyrawsize": "50", "content-type": "application/x-protobuf", "content-md5": upper_md5(body)}
        self.assertEqual(Sls.signature_1(Request("GET", "/logstores/app_log", put, body), KEY), "87xQWqFaOSewqRIma8kPjGYlXHc=")
        put |= {"content-md5": upper_md5(LITERALS), "x-log-compresstype": "lz4", "x-acs-security-token": "tok"}
        self.assertEqual(Sls.signature_1(Request("POST", "/logstores/app_log/shards/lb", put, LITERALS), KEY),
                         "BQwSEu+m/6EgvyqOmO8idP9hVOg=")

    def test_signature_4(self):
        body = b"adasd= -asd zcas"
        def sign(method, region, headers, query, body):
            request = Request(method, "/logstores", {**headers, "x-log-date": "20220808T032330Z",
                                                     "x-log-content-sha256": sha256(body)}, body)
            request.query = query
            return Sls.signature_4(request, "zxasdasdasw2", region)[1]
        self.assertEqual(sign("POST", "cn-shanghai", {}, [], body),
                         "8a10a5e723cb2e75964816de660b2c16a58af8bc0261f7f0722d832468c76ce8")
        headers = {"x-log-test": "het123", "x-acs-ppp": "dds", "hello": "unsigned"}
        query = [(" abc", "efg"), (" agc ", ""), ("", "efg"), ("A-bc", "eFg")]
        for method, data, wanted in (("POST", body, "a98f5632e93836e63839cd836a54055f480020a9364ca944e2d34f2eb9bf1bed"),
                                     ("POST", b"", "5a66d8f8051983e0e9d08e0f960ef9252ef971eead5bb5c7acec8617a2eb2701"),
                                     ("GET", b"", "d92741852500791d662a8d469ff61627c0559ecd86c3f59b7bf6772b6c62666a")):
            self.assertEqual(sign(method, "cn-hangzhou", headers, query, data), wanted)
        whole = {"host": "p1.cn-hangzhou.log.aliyuncs.com", "content-type": "application/x-protobuf",
                 "x-log-apiversion": "0.6.0", "x-log-bodyrawsize": "50", "x-log-compresstype": "lz4",
                 "x-acs-security-token": "tok", "x-log-date": "20220808T032330Z", "x-log-content-sha256": sha256(LITERALS)}
        request = Request("POST", "/logstores/app_log/shards/lb", whole, LITERALS)
        self.assertEqual(Sls.signature_4(request, KEY, "cn-hangzhou")[1],
                         "f4b3c0c44c90526465558ae4c8d3e05f0997411ecfe5e68d02fe3c02c1b6e5fa")


class ClsTest(unittest.TestCase):
    SECRET, SECONDS = "LUSE4nPK1d4tX5SHyXv6tZXXXXXXXXXX", "1510109254;1510109314"

    def test_the_signatures_of_the_document(self):
        old, new = "ap-shanghai.cls.myqcloud.com", "ap-shanghai.cls.tencentcs.com"
        for method, target, headers, wanted in (
                ("GET", "/logset?logset_id=xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", {"host": old},
                 "2c53900d3fe8d2e875db8a6af5fe7303ee1567a8"),
                ("PUT", "/logset", {"host": old, "content-type": "application/json",
                                    "content-md5": "f9c7fc33c7eab68dfa8a52508d1f4659"},
                 "85a55e61de42483ba03bffd07a6c01b8d651af51"),
                ("POST", "/structuredlog?topic_id=xxxxxxxx-xxxx-xxxx-xxxx",
                 {"host": new, "content-type": "application/x-protobuf"}, "54ceb5904607d074a882cd6011fb623db5b44aa9")):
            request = Request(method, target, headers, b"")
            names = [name for name, _ in request.query]
            self.assertEqual(Cls.signature(request, self.SECRET, self.SECONDS, list(headers), names), wanted)

    def put(self, now, **changes):
        state = {**EMPTY_STATE, "keys": {"id": {"secret": self.SECRET}}, "exists": ["logset", "t"]}
        body = bytes.fromhex("0a180a0e08f8b2939e0512060a016b1201761203412d30220173")
        request = Request("POST", "/structuredlog?topic_id=t", {"host": "h", "content-type": "application/x-protobuf"}, body)
        signature = Cls.signature(request, self.SECRET, self.SECONDS, ["content-type", "host"], ["topic_id"])
        request.headers["authorization"] = (
            f"q-sign-algorithm=sha1&q-ak=id&q-sign-time={self.SECONDS}&q-key-time={self.SECONDS}"
            f"&q-header-list=content-type;host&q-url-param-list=topic_id&q-signature={signature}")
        request.headers |= changes
        return Cls(state, now).handle(request)

    def test_a_write_is_taken_in_its_time_alone_and_with_nothing_changed(self):
        self.assertEqual(self.put(1510109300), [(1405409656, {"k": "v"})])
        for now, changes in ((1510109315, {}), (1510109253, {}), (1510109300, {"host": "i"}),
                             (1510109300, {"authorization": ""}), (1510109300, {"x-cls-token": "t"}),
                             (1510109300, {"x-cls-compress-type": "lz4"})):
            with self.assertRaises(Refused):
                self.put(now, **changes)


class LtsTest(unittest.TestCase):
    SECRET = "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc"

    def test_the_signatures_of_the_clouds_own_test(self):
        date = {"x-sdk-date": "20191115T033655Z"}
        listing = Request("GET", "/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs?limit=2&marker=13551d6b-755d-4757-b956-536f674975c0",
                          {**date, "content-type": "application/json", "host": "service.region.example.com"}, b"")
        names = ["content-type", "host", "x-sdk-date"]
        self.assertEqual(Lts.signature(listing, self.SECRET, names),
                         "7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe")
        put = Request("POST", "/v2/0123456789abcdef0123456789abcdef/lts/groups/g/streams/s/tenant/contents",
                      {**date, "content-type": "application/json;charset=UTF-8", "host": "lts-access.test.example.com"},
                      b'{"log_time_ns":1586850540000000000,"contents":["a"],"labels":{"user_tag":"x"}}')
        self.assertEqual(Lts.signature(put, self.SECRET, names),
                         "d251e75ea96742fae0bca38058e9adfd439bedbcb81a7a10351edec22c589081")


if __name__ == "__main__":
    unittest.main(verbosity=2)
