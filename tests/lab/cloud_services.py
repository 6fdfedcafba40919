"""The rules of the clouds' log services: what each answers to a request, from their documents and SDKs (network-sinks.md of
the project's specification, 1 to 3) and not from the sinks. test_cloud_services.py proves them with the vectors there.

A service has a state, which a test writes and which is read at each request:
  keys            {id: {"secret": ..., "token": ..., "right": bool}}
  exists          the names of what there is: projects, logstores, topics ...
  forbidden       the project is switched off
  quota           None, "project" or "shard"
  bad             the values of seq of records that the service does not take
  skew            seconds that its clock is ahead of ours
"""

import base64
import calendar
import email.utils
import hashlib
import hmac
import json
import time
import urllib.parse
import zlib

import cloud_wire
from cloud_wire import Malformed

EMPTY_STATE = {"keys": {}, "exists": [], "forbidden": False, "quota": None, "bad": [], "skew": 0}


class Refused(Exception):
    def __init__(self, status, code, message=""):
        super().__init__(code)
        self.status, self.code, self.message = status, code, message or code


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def hmac256(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Request:
    """headers: names in lower case."""

    def __init__(self, method, target, headers, body):
        self.method, self.headers, self.body = method, headers, body
        self.path, _, query = target.partition("?")
        self.query = urllib.parse.parse_qsl(query, keep_blank_values=True)

    def header(self, name):
        return self.headers.get(name, "")


class Sls:
    """Alibaba Cloud's Log Service: PutLogs with signatures 1 and 4."""
    RAW_LIMIT, LOGS_LIMIT, SKEW_LIMIT = 10 << 20, 40960, 15 * 60
    ANSWER = b""
    PAST, FUTURE = 7 * 86400, 15 * 60
    REQUEST_ID = "x-log-requestid"

    def __init__(self, state, now):
        self.state, self.now = state, now

    @staticmethod
    def signature_1(request, secret):
        signed = sorted((n, v.strip()) for n, v in request.headers.items()
                        if n.startswith(("x-log-", "x-acs-")) and not n.startswith("x-log-meta-"))
        resource = request.path
        if request.query:
            resource += "?" + "&".join(f"{k}={v}" for k, v in sorted(request.query))
        lines = [request.method, request.header("content-md5"), request.header("content-type"), request.header("date"),
                 *(f"{n}:{v}" for n, v in signed), resource]
        return base64.b64encode(hmac.new(secret.encode(), "\n".join(lines).encode(), hashlib.sha1).digest()).decode()

    @staticmethod
    def signature_4(request, secret, region):
        signed = sorted((n, v.strip()) for n, v in request.headers.items()
                        if n in ("host", "content-type") or n.startswith(("x-log-", "x-acs-")))
        query = "&".join(k + ("=" + urllib.parse.quote(v, safe="-_.~") if v else "") for k, v in sorted(request.query))
        when = request.header("x-log-date")
        canonical = "\n".join([request.method, request.path, query, *(f"{n}:{v}" for n, v in signed), "",
                               ";".join(n for n, _ in signed), request.header("x-log-content-sha256")])
        scope = f"{when[:8]}/{region}/sls/aliyun_v4_request"
        key = ("aliyun_v4" + secret).encode()
        for part in (when[:8], region, "sls", "aliyun_v4_request"):
            key = hmac256(key, part)
        return scope, hmac256(key, f"SLS4-HMAC-SHA256\n{when}\n{scope}\n{sha256(canonical.encode())}").hex()

    def check_time(self, when):
        if when is None or abs(when - self.now) > self.SKEW_LIMIT:
            raise Refused(400, "RequestTimeExpired", f"the request's time is too far from {int(self.now)}")

    def check_signature(self, request):
        given = request.header("authorization")
        if given.startswith("LOG "):
            parsed = email.utils.parsedate(request.header("date"))
            self.check_time(parsed and calendar.timegm(parsed))
            if request.header("content-md5") != hashlib.md5(request.body).hexdigest().upper():
                raise Refused(400, "InvalidContentMD5")
            key_id, _, signature = given[4:].partition(":")
            expected = self.signature_1(request, self.secret(key_id))
        elif given.startswith("SLS4-HMAC-SHA256 Credential="):
            try:
                self.check_time(calendar.timegm(time.strptime(request.header("x-log-date"), "%Y%m%dT%H%M%SZ")))
            except ValueError:
                self.check_time(None)
            if request.header("x-log-content-sha256") != sha256(request.body):
                raise Refused(400, "InvalidContentSha256")
            credential, _, signature = given.partition("=")[2].partition(",Signature=")
            key_id, _, given_scope = credential.partition("/")
            scope, expected = self.signature_4(request, self.secret(key_id), given_scope.split("/")[1])
            if scope != given_scope:
                raise Refused(401, "SignatureNotMatch", "another scope")
        else:
            raise Refused(401, "Unauthorized", "no signature")
        if not hmac.compare_digest(signature, expected):
            raise Refused(401, "SignatureNotMatch", f"signature {signature} not match")
        key = self.state["keys"][key_id]
        if key.get("expired"):
            raise Refused(401, "Unauthorized", "The security token you provided has expired")
        if request.header("x-acs-security-token") != key.get("token", ""):
            raise Refused(401, "Unauthorized", "The security token you provided is invalid")
        return key

    def secret(self, key_id):
        if key_id not in self.state["keys"]:
            raise Refused(401, "Unauthorized", f"AccessKeyId not found: {key_id}")
        return self.state["keys"][key_id]["secret"]

    def unpack(self, request):
        raw = request.header("x-log-bodyrawsize")
        if not raw:
            raise Refused(400, "MissingBodyRawSize")
        if not raw.isdigit():
            raise Refused(400, "InvalidBodyRawSize")
        if int(raw) > self.RAW_LIMIT:
            raise Refused(413, "PostBodyTooLarge", f"body size {raw} must little than {self.RAW_LIMIT}")
        how = request.header("x-log-compresstype")
        try:
            body = {"": lambda b: b, "lz4": lambda b: cloud_wire.unlz4(b, self.RAW_LIMIT), "zstd": cloud_wire.unzstd,
                    "deflate": zlib.decompress}[how](request.body)
        except KeyError:
            raise Refused(400, "InvalidCompressType", how) from None
        except (Malformed, zlib.error) as error:
            raise Refused(400, "PostBodyUncompressError", str(error)) from None
        if len(body) != int(raw):
            raise Refused(400, "PostBodyUncompressError", "another size")
        return body

    def handle(self, request):
        """Returns (time, fields) of each log. Raises Refused."""
        project = request.header("host").partition(".")[0]
        if project not in self.state["exists"]:
            raise Refused(404, "ProjectNotExist", f"The Project does not exist : {project}")
        parts = request.path.split("/")
        if request.method != "POST" or len(parts) not in (3, 5) or parts[1] != "logstores" or \
                (len(parts) == 5 and parts[3:] != ["shards", "lb"]):
            raise Refused(404, "InvalidPath", request.path)
        if request.header("content-type") != "application/x-protobuf":
            raise Refused(415, "InvalidContentType")
        if request.header("x-log-apiversion") != "0.6.0":
            raise Refused(400, "InvalidAPIVersion")
        key = self.check_signature(request)
        if self.state["forbidden"]:
            raise Refused(403, "ProjectForbidden", f"The Project has been forbidden : {project}")
        if not key.get("right", True):
            raise Refused(401, "Unauthorized", "denied by sts or ram, action: log:PostLogStoreLogs, resource: ...")
        if f"{project}/{parts[2]}" not in self.state["exists"]:
            raise Refused(404, "LogStoreNotExist", f"logstore {parts[2]} does not exist")
        if self.state["quota"] == "project":
            raise Refused(403, "WriteQuotaExceed", "Project write quota exceed: inflow")
        if self.state["quota"] == "shard":
            raise Refused(403, "ShardWriteQuotaExceed", "Shard write quota exceed")
        try:
            logs, _ = cloud_wire.logs_of_group(self.unpack(request))
        except Malformed as error:
            raise Refused(400, "PostBodyInvalid", str(error)) from None
        if len(logs) > self.LOGS_LIMIT:
            raise Refused(413, "PostBodyTooLarge", "too many logs")
        for when, contents in logs:
            if not self.now - self.PAST <= when <= self.now + self.FUTURE:
                raise Refused(400, "InvalidTimestamp", f"log timestamp {when} must in range")
            if contents.get("seq") in self.state["bad"] or any(len(v) > 1 << 20 for v in contents.values()):
                raise Refused(400, "PostBodyInvalid", "a value is not taken")
        return logs

    @staticmethod
    def error_body(refused):
        return json.dumps({"errorCode": refused.code, "errorMessage": refused.message}).encode()


class Cls:
    """Tencent Cloud's log service: structuredlog. What is signed is told by the request."""
    RAW_LIMIT, LOGS_LIMIT, GROUPS_LIMIT, VALUES_LIMIT = 6 << 20, 10_000, 10, 5 << 20
    ANSWER = b""
    REQUEST_ID = "x-cls-requestid"

    def __init__(self, state, now):
        self.state, self.now = state, now

    @staticmethod
    def signature(request, secret, seconds, header_names, parameter_names):
        def joined(pairs, names):
            values = {name.lower(): value for name, value in pairs}
            if any(name not in values for name in names):
                raise Refused(401, "Unauthorized", "a name is signed that is not there")
            return "&".join(f"{name}={urllib.parse.quote(values[name], safe='-_.~')}" for name in sorted(names))
        info = "\n".join([request.method.lower(), request.path, joined(request.query, parameter_names),
                          joined(request.headers.items(), header_names), ""])
        text = f"sha1\n{seconds}\n{hashlib.sha1(info.encode()).hexdigest()}\n"
        key = hmac.new(secret.encode(), seconds.encode(), hashlib.sha1).hexdigest()
        return hmac.new(key.encode(), text.encode(), hashlib.sha1).hexdigest()

    def check_signature(self, request):
        given = dict(pair.partition("=")[::2] for pair in request.header("authorization").split("&"))
        if not request.header("authorization"):
            raise Refused(400, "MissingAuthorization")
        try:
            if given["q-sign-algorithm"] != "sha1" or given["q-sign-time"] != given["q-key-time"]:
                raise Refused(400, "InvalidAuthorization")
            begin, end = map(int, given["q-sign-time"].split(";"))
            headers = [name for name in given["q-header-list"].split(";") if name]
            parameters = [name for name in given["q-url-param-list"].split(";") if name]
            key = self.state["keys"].get(given["q-ak"])
            if key is None:
                raise Refused(401, "Unauthorized", "the secret id is wrong")
            expected = self.signature(request, key["secret"], given["q-sign-time"], headers, parameters)
            if not hmac.compare_digest(given["q-signature"], expected):
                raise Refused(401, "Unauthorized", "the signature is wrong")
        except (KeyError, ValueError):
            raise Refused(400, "InvalidAuthorization") from None
        if not begin <= self.now <= end:
            raise Refused(401, "Unauthorized", "the signature has expired")
        if request.header("x-cls-token") != key.get("token", ""):
            raise Refused(401, "Unauthorized", "the token is wrong")
        if not key.get("right", True):
            raise Refused(401, "Unauthorized", "no permission: cls:pushLog")

    def handle(self, request):
        if request.method != "POST" or request.path != "/structuredlog":
            raise Refused(404, "NotFound")
        self.check_signature(request)
        topic = dict(request.query).get("topic_id")
        if "logset" not in self.state["exists"]:
            raise Refused(404, "LogsetNotExist")
        if topic not in self.state["exists"]:
            raise Refused(404, "TopicNotExist", f"topic {topic} not exist")
        if self.state["forbidden"]:
            raise Refused(400, "TopicClosed")
        if self.state["quota"]:
            raise Refused(429, "SpeedQuotaExceed")
        if request.header("content-type") != "application/x-protobuf":
            raise Refused(400, "InvalidContentType")
        how = request.header("x-cls-compress-type")
        try:
            body = {"": lambda b: b, "lz4": lambda b: cloud_wire.unlz4(b, 2 * self.RAW_LIMIT), "zstd": cloud_wire.unzstd,
                    "deflate": lambda b: zlib.decompress(b, -15)}[how](request.body)
            groups = [cloud_wire.logs_of_group(value)[0] for number, value in cloud_wire.fields(body) if number == 1]
        except KeyError:
            raise Refused(400, "InvalidCompressType", how) from None
        except (Malformed, zlib.error) as error:
            raise Refused(400, "InvalidContent", str(error)) from None
        if len(body) > self.RAW_LIMIT or len(groups) > self.GROUPS_LIMIT:
            raise Refused(403, "LogSizeExceed")
        for logs in groups:
            if len(logs) > self.LOGS_LIMIT or \
                    sum(len(v) for _, contents in logs for v in contents.values()) > self.VALUES_LIMIT:
                raise Refused(403, "LogSizeExceed")
            for when, contents in logs:
                if any(name.startswith("_") for name in contents) or when > 10_000_000_000:
                    raise Refused(400, "InvalidContent", "a key of the service's own, or no seconds")
                if contents.get("seq") in self.state["bad"]:
                    raise Refused(400, "InvalidContent", "a value is not taken")
        return [log for logs in groups for log in logs]

    @staticmethod
    def error_body(refused):
        return json.dumps({"errorcode": refused.code, "errormessage": refused.message}).encode()


class Lts:
    """Huawei Cloud's log service: tenant/contents/high-accuracy, with a token or SDK-HMAC-SHA256."""
    SKEW_LIMIT, KEPT = 15 * 60, 2 * 86400
    REQUEST_ID = "x-request-id"
    ANSWER = b'{"errorCode":"SVCSTG.ALS.200.200","error_msg":"Report success.","result":null}'

    def __init__(self, state, now):
        self.state, self.now = state, now

    @staticmethod
    def signature(request, secret, names):
        path = "/".join(urllib.parse.quote(part, safe="-_.~") for part in request.path.split("/"))
        query = "&".join(f"{urllib.parse.quote(k, safe='-_.~')}={urllib.parse.quote(v, safe='-_.~')}"
                         for k, v in sorted(request.query))
        canonical = "\n".join([request.method, path if path.endswith("/") else path + "/", query,
                               *(f"{name}:{request.header(name).strip()}" for name in names), "", ";".join(names),
                               sha256(request.body)])
        return hmac256(secret.encode(), f"SDK-HMAC-SHA256\n{request.header('x-sdk-date')}\n{sha256(canonical.encode())}").hex()

    def check_who(self, request):
        token = request.header("x-auth-token")
        given = request.header("authorization")
        if token:
            key = next((key for key in self.state["keys"].values() if key.get("iam_token") == token), None)
            if key is None:
                raise Refused(401, "LTS.0414", "Invalid token")
        elif given.startswith("SDK-HMAC-SHA256 "):
            parts = dict(part.partition("=")[::2] for part in given[len("SDK-HMAC-SHA256 "):].split(", "))
            key = self.state["keys"].get(parts.get("Access"))
            names = parts.get("SignedHeaders", "").split(";")
            try:
                when = calendar.timegm(time.strptime(request.header("x-sdk-date"), "%Y%m%dT%H%M%SZ"))
            except ValueError:
                raise Refused(401, "APIGW.0301", "Incorrect IAM authentication information: no date") from None
            if abs(when - self.now) > self.SKEW_LIMIT:
                raise Refused(401, "APIGW.0301", "Incorrect IAM authentication information: Signature expired")
            if key is None or "x-sdk-date" not in names or "host" not in names or not hmac.compare_digest(
                    parts.get("Signature", ""), self.signature(request, key["secret"], names)):
                raise Refused(401, "APIGW.0301", "Incorrect IAM authentication information: verify aksk signature fail")
            if request.header("x-security-token") != key.get("token", ""):
                raise Refused(401, "APIGW.0301", "Incorrect IAM authentication information: security token")
        else:
            raise Refused(401, "LTS.0414", "no token")
        if not key.get("right", True):
            raise Refused(403, "LTS.0003", "Insufficient permissions")

    def handle(self, request):
        parts = request.path.split("/")
        if request.method != "POST" or len(parts) != 11 or parts[:2] != ["", "v2"] or \
                parts[8:] != ["tenant", "contents", "high-accuracy"]:
            raise Refused(404, "APIGW.0101", "The API does not exist")
        self.check_who(request)
        for name, code in ((parts[2], "SVCSTG.ALS.403.105"), (parts[5], "LTS.0201"), (parts[7], "LTS.0208")):
            if name not in self.state["exists"]:
                raise Refused(401 if code == "SVCSTG.ALS.403.105" else 400, code, f"{name} does not exist")
        if self.state["quota"]:
            raise Refused(429, "LTS.0429", "too many requests")
        if request.header("content-type") != "application/json;charset=UTF-8":
            raise Refused(400, "LTS.0009", "content type")
        try:
            body = zlib.decompress(request.body, 31) if request.header("content-encoding") == "gzip" else request.body
            parsed = json.loads(body)
            if not isinstance(parsed["labels"], dict):
                raise Refused(400, "LTS.0009", "labels")
            logs = [(content["log_time_ns"] // 1_000_000_000, json.loads(content["log"], parse_float=str, parse_int=str))
                    for content in parsed["contents"]]
        except (ValueError, KeyError, TypeError, zlib.error) as error:
            raise Refused(400, "LTS.0009", str(error)) from None
        if any(fields.get("seq") in self.state["bad"] for _, fields in logs):
            raise Refused(400, "LTS.0009", "a line is not taken")
        # What is too old or ahead is taken, and gone.
        return [log for log in logs if abs(log[0] - self.now) <= self.KEPT]

    @staticmethod
    def error_body(refused):
        return json.dumps({"error_code": refused.code, "error_msg": refused.message}).encode()
