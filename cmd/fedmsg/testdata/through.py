"""libzmq on both sides of a bus: one publisher, and a subscriber on each way out.

    through.py INBOUND COUNT OUT...

Prints, for each OUT, how many messages came and one SHA-256 of all frames in
order; and first the same of what was sent.
"""
import hashlib
import json
import sys
import threading
import time

import zmq

inbound, count, outs = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
ctx = zmq.Context()


def subscribe(addr):
    s = ctx.socket(zmq.SUB)
    s.setsockopt(zmq.RCVHWM, 0)
    s.setsockopt(zmq.RCVTIMEO, 20000)
    s.setsockopt(zmq.SUBSCRIBE, b"org.fedoraproject.dev.through.")
    s.connect(addr)
    return s


def say(digest, n):
    print(n, digest.hexdigest(), flush=True)


subs = [subscribe(addr) for addr in outs]
pub = ctx.socket(zmq.PUB)
pub.setsockopt(zmq.SNDHWM, 0)
pub.setsockopt(zmq.LINGER, 20000)
mon = pub.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
pub.connect(inbound)
mon.recv_multipart()
time.sleep(0.5)  # subscriptions travel; ZeroMQ does not tell when they have come

results = [None] * len(subs)


def receive(i):
    digest, n = hashlib.sha256(), 0
    try:
        while n < count:
            for frame in subs[i].recv_multipart():
                digest.update(frame)
            n += 1
    except zmq.Again:
        pass
    results[i] = (digest, n)


threads = [threading.Thread(target=receive, args=(i,)) for i in range(len(subs))]
for t in threads:
    t.start()
sent, now = hashlib.sha256(), int(time.time())
for n in range(count):
    topic = "org.fedoraproject.dev.through.n%d" % (n % 7)
    # Every other message is spelled as a relay of the original spells it.
    body = json.dumps(
        {"topic": topic, "msg": {"n": n, "f": 1e-7, "s": "bl\u00e5", "pad": "x" * (n % 600)}, "msg_id": "2026-through-%d" % n, "timestamp": now, "i": n},
        separators=(", ", ": ") if n % 2 else (",", ":"))
    for frame in (topic.encode(), body.encode()):
        sent.update(frame)
    pub.send_multipart([topic.encode(), body.encode()])
say(sent, count)
for t in threads:
    t.join()
for digest, n in results:
    say(digest, n)
pub.disable_monitor()
mon.close()
pub.close()
for s in subs:
    s.close()
ctx.term()
