"""The package against a real bus: the program that FEDMSG_PROGRAM names."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import fedmsg
import fedmsg.crypto
import fedmsg.meta

PROGRAM = os.environ.get("FEDMSG_PROGRAM")


class Bus:
    """A bus on a free port, which it keeps when it is started again."""

    def __init__(self, folder):
        self.folder, self.addr = folder, "127.0.0.1:0"
        self.start()

    def start(self):
        ready = os.path.join(self.folder, "addr")
        if os.path.exists(ready):
            os.unlink(ready)
        free = "tcp://127.0.0.1:0"
        with open(os.path.join(self.folder, "told"), "ab") as told:
            self.process = subprocess.Popen(
                [PROGRAM, "serve", "--dir", os.path.join(self.folder, "bus"), "--http", self.addr, "--addr-file", ready, "--no-archive",
                 "--relay-inbound", free, "--relay-outbound", free, "--gateway", free], stdin=subprocess.DEVNULL, stderr=told,
                env={k: v for k, v in os.environ.items() if not k.startswith("FEDMSG_")})  # it refuses those it does not know
        end = time.monotonic() + 60
        while not os.path.exists(ready):
            if self.process.poll() is not None or time.monotonic() > end:
                with open(os.path.join(self.folder, "told")) as f:
                    raise AssertionError("the bus is not ready: " + f.read())
            time.sleep(0.01)
        with open(ready) as f:
            self.addr = json.load(f)["http"]

    def kill(self):
        self.process.kill()
        self.process.wait(60)


@unittest.skipUnless(PROGRAM, "FEDMSG_PROGRAM names no program")
class WithBus(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.bus = Bus(folder.name)
        self.addCleanup(lambda: self.bus.kill())
        fedmsg.init(bus=self.bus.addr, timeout=60)
        self.addCleanup(fedmsg.destroy)

    def python(self, code, **kw):
        env = dict(os.environ, FEDMSG_BUS=self.bus.addr, PYTHONUNBUFFERED="1")
        process = subprocess.Popen([sys.executable, "-W", "error", "-c", code], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def published_until(self, read):
        """Publish until a reader that has just begun is there: read returns its first line."""
        got = []
        thread = threading.Thread(target=lambda: got.append(read()))
        thread.start()
        while thread.is_alive():
            fedmsg.publish(topic="knock", modname="test", msg={})
            thread.join(0.1)
        return got[0]

    def test_the_two_lines_of_the_front_page(self):
        tail = self.python("import fedmsg\nfor name, endpoint, topic, msg in fedmsg.tail_messages(): print(topic, msg)")
        self.assertIn("dev.test.knock", self.published_until(tail.stdout.readline))
        publish = self.python("import fedmsg; fedmsg.publish(topic='testing', modname='test', msg={'test': 'Hello World'})")
        out, err = publish.communicate(timeout=60)
        self.assertEqual((publish.returncode, out, err), (0, "", ""))
        line = next(line for line in tail.stdout if "knock" not in line)
        self.assertTrue(line.startswith("org.fedoraproject.dev.test.testing {'i': 1, 'msg': {'test': 'Hello World'}"), line)
        tail.send_signal(signal.SIGINT)
        _, err = tail.communicate(timeout=60)
        self.assertTrue(err.strip().endswith("KeyboardInterrupt"), err)

    def test_nothing_lost_nothing_twice(self):
        count, publishers = 1000, 4
        received, answered, failed = [], [], []
        stream = fedmsg.tail_messages(topic="org.fedoraproject.dev.load")
        begun = threading.Event()

        def tail():
            try:
                for _, _, topic, message in stream:
                    begun.set()
                    if topic.endswith(".end"):
                        return
                    if topic.endswith(".n"):
                        received.append(message["msg_id"])
            except Exception as err:
                failed.append(err)
                begun.set()

        def publish(part):
            try:
                for n in range(part, count, publishers):
                    answered.append(fedmsg.publish(topic="n", modname="load", msg={"n": n}))
            except Exception as err:
                failed.append(err)

        reader = threading.Thread(target=tail)
        reader.start()
        while not begun.wait(0.1):
            fedmsg.publish(topic="begin", modname="load", msg={})
        writers = [threading.Thread(target=publish, args=(n,)) for n in range(publishers)]
        for w in writers:
            w.start()
        for at in (count // 4, count // 2):
            while len(received) < at and not failed:
                time.sleep(0.005)
            self.bus.kill()
            self.bus.start()
        for w in writers:
            w.join()
        fedmsg.publish(topic="end", modname="load", msg={})
        reader.join(120)
        self.assertEqual(failed, [])
        self.assertFalse(reader.is_alive())
        self.assertEqual(len(answered), count)
        want = [r["id"] for r in sorted(answered, key=lambda r: r["seq"])]
        self.assertEqual(len(set(received)), len(received), "a message came twice")
        self.assertEqual(received, want, "what was answered came, in the order of the log")

    def test_fork(self):
        code = """
import os, fedmsg
stream = fedmsg.tail_messages()
print(next(stream)[3]["msg_id"])
with fedmsg.core.FedMsgContext() as bus:
    bus.publish(topic="before", modname="fork")
while next(stream)[2] != "org.fedoraproject.dev.fork.before": pass
child = os.fork()
n = 0
if child:
    fedmsg.publish(topic="parent", modname="fork"); fedmsg.publish(topic="end", modname="fork")
seen = []
for _, _, topic, _ in stream:
    if "fork" in topic: seen.append(topic.rsplit(".")[-1])
    if topic.endswith("end"): break
stream.close()
os.write(1, (" ".join(["child" if not child else "all"] + seen) + chr(10)).encode())
if child: os.waitpid(child, 0)
else: os._exit(0)
"""
        process = self.python(code)
        self.published_until(process.stdout.readline)
        out, err = process.communicate(timeout=120)
        self.assertEqual((sorted(out.splitlines()), process.returncode), (["all parent end", "child parent end"], 0), err)

    def test_verdicts_and_words(self):
        receipt = fedmsg.publish(topic="log", modname="logger", msg={"log": "hello"})
        message = {"msg_id": receipt["id"]}
        self.assertIn("hello", fedmsg.meta.msg2subtitle(message, bus=self.bus.addr))
        self.assertIsInstance(fedmsg.meta.msg2usernames(message, bus=self.bus.addr), set)
        unsigned = {"topic": "org.fedoraproject.dev.a", "msg": {}, "msg_id": "1", "timestamp": 1}
        self.assertFalse(fedmsg.crypto.validate(unsigned, bus=self.bus.addr))
        with self.assertRaises(fedmsg.BusError) as caught:
            fedmsg.meta.msg2subtitle({"msg_id": "none"}, bus=self.bus.addr)
        self.assertEqual(caught.exception.code, "not_found")


if __name__ == "__main__":
    unittest.main()
