"""The package against a bus that is made up, and does what a real one does seldom."""
import datetime
import http.server
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
import warnings

import fedmsg
import fedmsg.config
import fedmsg.crypto
import fedmsg.encoding
import fedmsg.meta
from fedmsg import _http


def event(n, **more):
    message = {"topic": "org.fedoraproject.dev.a.b", "msg": {"n": n}, "msg_id": str(n)}
    message.update(more)
    return f"id: {'0' * 16}-{n}\ndata: " + json.dumps({"seq": n, "message": message}) + "\n\n"


def problem(status, code, **headers):
    return status, {"Content-Type": "application/problem+json", **headers}, json.dumps({"status": status, "code": code, "detail": "why"})


class FakeBus:
    """Gives its answers one after another, the last one for ever, and notes the requests."""

    def __init__(self, *answers):
        self.answers, self.requests = list(answers), []
        bus = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                bus.requests.append((self.path, self.headers, body))
                status, headers, text = bus.answers.pop(0) if len(bus.answers) > 1 else bus.answers[0]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "text/event-stream" not in headers.values():
                    self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


STREAM = {"Content-Type": "text/event-stream"}


class Case(unittest.TestCase):
    def setUp(self):
        folders, fedmsg.config.folders = fedmsg.config.folders, []
        self.addCleanup(setattr, fedmsg.config, "folders", folders)
        kept = {k: os.environ.pop(k) for k in list(os.environ) if k.startswith("FEDMSG_")}
        self.addCleanup(os.environ.update, kept)
        fedmsg.config.load_config(invalidate_cache=True)
        fedmsg.destroy()
        self.addCleanup(fedmsg.destroy)

    def bus(self, *answers, **config):
        bus = FakeBus(*answers)
        self.addCleanup(bus.close)
        fedmsg.init(**{"bus": bus.url, "timeout": 5, **config})
        return bus


CREATED = (201, {}, '{"id": "x", "seq": 7, "topic": "t"}')


class Publish(Case):
    def test_message(self):
        bus = self.bus(CREATED)
        seen = []
        with self.subTest("a caller who gives a modname, a hook, and what JSON has not"):
            receipt = fedmsg.publish(topic="t", modname="m", msg={"s": {1}, "d": datetime.date(2026, 1, 1), "é": 1.5}, pre_fire_hook=seen.append)
            self.assertEqual(receipt["seq"], 7)
            path, headers, body = bus.requests[-1]
            sent = json.loads(body)
            self.assertEqual((path, headers["Content-Type"], "Authorization" in headers), ("/api/v1/publish", "application/json", False))
            self.assertEqual(sent["topic"], "org.fedoraproject.dev.m.t")
            self.assertEqual(sent["msg"]["s"], [1])
            self.assertIsInstance(sent["msg"]["d"], float)
            self.assertIn(b"\\u00e9", body)
            self.assertRegex(sent["msg_id"], r"^\d{4}-[0-9a-f-]{36}$")
            self.assertIsInstance(sent["timestamp"], int)
            self.assertEqual(seen[0]["msg_id"], sent["msg_id"])
        for kw, topic in (
            ({"topic": "t", "modname": "org.fedoraproject.stg.m"}, "org.fedoraproject.stg.m.t"),
            ({"modname": "m"}, "org.fedoraproject.dev.m.unspecified"),
            ({"topic": "t"}, "org.fedoraproject.dev." + __name__.split(".")[0] + ".t"),
            ({"topic": "t", "modname": "m", "environment": "prod", "topic_prefix": "org.example"}, "org.example.prod.m.t"),
        ):
            with self.subTest(kw):
                fedmsg.publish(msg=[], **kw)
                sent = json.loads(bus.requests[-1][2])
                self.assertEqual((sent["topic"], sent["msg"]), (topic, {}))

    def test_tries_again(self):
        bus = self.bus(problem(503, "log_unavailable"), problem(429, "rate_limited", **{"Retry-After": "0"}), CREATED)
        fedmsg.publish(topic="t", modname="m", msg={"a": 1})
        bodies = [b for _, _, b in bus.requests]
        self.assertEqual(len(bodies), 3)
        self.assertEqual(len(set(bodies)), 1, "the same message, with the same ID")

    def test_refused(self):
        for answer, code in ((problem(400, "bad_topic"), "bad_topic"), (problem(507, "storage_full"), "storage_full"),
                             ((302, {"Location": "http://127.0.0.1:1/"}, ""), ""), ((404, {}, "<html>"), "")):
            bus = self.bus(answer, token="fmt_secret")
            with self.assertRaises(fedmsg.PublishError) as caught:
                fedmsg.publish(topic="t", modname="m")
            self.assertEqual((caught.exception.code, len(bus.requests)), (code, 1))
            self.assertEqual(bus.requests[0][1]["Authorization"], "Bearer fmt_secret")
            self.assertTrue(caught.exception.msg_id)

    def test_nobody_there(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        with self.assertRaisesRegex(fedmsg.PublishError, "is the bus running") as caught:
            fedmsg.publish(topic="t", modname="m", bus="127.0.0.1:%d" % port, timeout=0.3)
        self.assertTrue(caught.exception.temporary)
        with self.assertRaisesRegex(fedmsg.BusError, "is the bus running"):
            next(fedmsg.tail_messages(bus="127.0.0.1:%d" % port, timeout=0.3))


class Tail(Case):
    def take(self, n, **kw):
        stream = fedmsg.tail_messages(**kw)
        try:
            return [next(stream)[3]["msg"]["n"] for _ in range(n)]
        finally:
            stream.close()

    def test_goes_on_where_it_was(self):
        whole, half = event(2), event(3)
        bus = self.bus((200, STREAM, ": epoch " + "0" * 16 + " last 0\n\n"), (200, STREAM, "retry: 1\n" + event(1) + ": hb\n\n" + whole + half[:-1]),
                       problem(503, "log_unavailable"), (200, STREAM, half + "event: other\ndata: {}\n\n" + event(4)))
        self.assertEqual(self.take(4), [1, 2, 3, 4])
        self.assertEqual([h.get("Last-Event-ID") for _, h, _ in bus.requests],
                         [None, "0" * 16 + "-0", "0" * 16 + "-2", "0" * 16 + "-2"])

    def test_gap(self):
        for data, text in (('{"reason":"too_old","first":5,"last":9,"after":1}', "only those from 5 on"),
                           ('{"reason":"epoch","first":1,"last":9}', "a new log"), ('{"reason":"unknown","last":9}', "ends at 9")):
            self.bus((200, STREAM, "id: " + "1" * 16 + "-4\nevent: gap\ndata: " + data + "\n\n" + event(5)))
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                self.assertEqual(self.take(1), [5])
            self.assertEqual([w.category for w in told], [fedmsg.GapWarning])
            self.assertIn(text, str(told[0].message))

    def test_topics(self):
        events = event(1) + event(2, topic="org.fedoraproject.dev.ab.c") + event(3, topic="org.fedoraproject.dev.b.c") + event(4, topic="org.x.a")
        for topic, asked, want in (("", "", [1, 2, 3, 4]), ("org.fedoraproject.dev.a", "?topic=org.fedoraproject.dev.%23", [1, 2]),
                                   ("org.fedoraproject.dev.a.*", "?topic=org.fedoraproject.dev.a.%23", [1]), ("org", "", [1, 2, 3, 4]),
                                   (["org.x.", "org.fedoraproject.dev.b"], "?topic=org.x.%23&topic=org.fedoraproject.dev.%23", [3, 4])):
            with self.subTest(topic):
                bus = self.bus((200, STREAM, events))
                self.assertEqual(self.take(len(want), topic=topic), want)
                self.assertEqual(bus.requests[0][0], "/api/v1/events" + asked)

    def test_refused(self):
        self.bus((200, STREAM, event(1)), problem(401, "invalid_token"))
        stream = fedmsg.tail_messages()
        self.assertEqual(next(stream)[2], "org.fedoraproject.dev.a.b")
        with self.assertRaises(fedmsg.BusError) as caught:
            next(stream)
        self.assertEqual(caught.exception.code, "invalid_token")


class CryptoAndMeta(Case):
    def test_validate(self):
        message = {"topic": "t", "msg": {}, "signature": "x", "certificate": "y"}
        for answer, valid, by in (((200, {}, '{"verified": "x509:app01"}'), True, True), ((200, {}, '{"verified": "x509:app02"}'), True, False),
                                  ((200, {}, '{"verified": "gpg-body-only:AB"}'), False, False),
                                  (problem(403, "cert_expired"), False, False), (problem(400, "missing_field"), False, False)):
            bus = self.bus(answer)
            self.assertEqual((fedmsg.crypto.validate(message, bus=bus.url), fedmsg.crypto.validate_signed_by(message, "app01", bus=bus.url)), (valid, by))
            self.assertEqual(bus.requests[0][0], "/api/v1/verify")
        for answer in (problem(503, "crl_expired"), problem(401, "invalid_token"), (404, {}, "")):
            bus = self.bus(answer)
            with self.assertRaises(fedmsg.BusError):
                fedmsg.crypto.validate(message, bus=bus.url, timeout=0.2)
        self.assertEqual(fedmsg.crypto.strip_credentials(message), {"topic": "t", "msg": {}})
        with self.assertRaisesRegex(NotImplementedError, "the bus signs"):
            fedmsg.crypto.sign(message)

    def test_words(self):
        meta = {f: f for f in fedmsg.meta._FIELDS}
        meta.update(usernames=["a", "b"], link="")
        bus = self.bus((200, {}, json.dumps({"meta": meta})))
        fedmsg.meta.make_processors(bus=bus.url)
        message = {"msg_id": "2026-1"}
        self.assertEqual(fedmsg.meta.msg2subtitle(message, bus=bus.url), "subtitle")
        self.assertEqual(fedmsg.meta.msg2usernames(message, bus=bus.url), {"a", "b"})
        self.assertEqual(fedmsg.meta.msg2repr(message, bus=bus.url), "title -- subtitle ")
        self.assertEqual(len(bus.requests), 1)
        self.assertTrue(bus.requests[0][0].startswith("/api/v1/messages/2026-1?meta=title,subtitle,"))


class Config(Case):
    def write(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".py", delete=False) as f:
            f.write(text)
        self.addCleanup(os.unlink, f.name)
        return f.name

    def test_files_are_read_and_not_run(self):
        name = self.write('import os\nos.abort()\nconfig = dict(environment="stg", name=os.getcwd(), endpoints={"a": ["b"]})\n')
        other = self.write('config = {"timeout": 3, "bus": "10.0.0.1:8330"}\n')
        config = fedmsg.config.load_config(filenames=[name, other])
        self.assertEqual((config["environment"], config["endpoints"], config["timeout"], "name" in config), ("stg", {"a": ["b"]}, 3, False))
        self.assertEqual(fedmsg.config.check(config)["bus"], "http://10.0.0.1:8330")
        for text, says in (('config = dict(environment=os.environ["E"])', "environment: is computed"), ("config = (", "")):
            with self.assertRaisesRegex(fedmsg.ConfigError, says):
                fedmsg.config.load_config(filenames=[self.write(text)])

    def test_environment_and_token(self):
        os.environ["FEDMSG_BUS"], os.environ["FEDMSG_TOKEN"] = "bus.example.org:1", "fmt_a"
        self.addCleanup(os.environ.pop, "FEDMSG_BUS")
        self.addCleanup(os.environ.pop, "FEDMSG_TOKEN")
        config = fedmsg.config.check(fedmsg.config.load_config(invalidate_cache=True))
        self.assertEqual((config["bus"], config["token"]), ("http://bus.example.org:1", "fmt_a"))
        self.assertEqual(fedmsg.config.check({**config, "token_file": self.write("fmt_b\n")})["token"], "fmt_b")
        for wrong in ({"token_file": self.write("two words")}, {"token_file": self.write("")}, {"bus": "tcp://127.0.0.1:4001"},
                      {"bus": "http://u:p@x"}, {"timeout": "soon"}):
            with self.assertRaises(fedmsg.ConfigError):
                fedmsg.config.check({**config, **wrong})

    def test_encoding(self):
        self.assertEqual(fedmsg.encoding.dumps({"b": 1.0, "a": {"é": None}}), '{"a":{"\\u00e9":null},"b":1.0}')
        with self.assertRaises(TypeError):
            fedmsg.encoding.dumps(b"bytes")


class Imports(unittest.TestCase):
    def test_standard_library_alone(self):
        # Without site there is nothing else to import, so an import of more would fail.
        subprocess.run([sys.executable, "-S", "-c", "import fedmsg, fedmsg.crypto, fedmsg.meta"], check=True, timeout=60)


if __name__ == "__main__":
    unittest.main()
