"""The other side in tests: libzmq by way of pyzmq.

    peer.py sub bind|connect ADDR COUNT   receives COUNT messages of two frames
    peer.py pub bind|connect ADDR COUNT   sends COUNT messages
    peer.py flap connect ADDR SECONDS     subscribes and goes away, all the time

Both print the bound port first, and in the end one SHA-256 of all frames in order.
pub sends "probe" until it reads a line from its standard input.
"""
import hashlib
import json
import select
import sys
import time

import zmq

mode, how, addr, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
ctx = zmq.Context()


def attach(sock):
    sock.setsockopt(zmq.LINGER, 10000)
    if how == "bind":
        sock.bind(addr)
    else:
        sock.connect(addr)
    print(sock.getsockopt(zmq.LAST_ENDPOINT).decode().rstrip("\0"), flush=True)


digest = hashlib.sha256()
if mode == "sub":
    sock = ctx.socket(zmq.SUB)
    sock.setsockopt(zmq.RCVTIMEO, 20000)
    sock.setsockopt(zmq.SUBSCRIBE, b"org.fedoraproject.")
    attach(sock)
    for _ in range(count):
        frames = sock.recv_multipart()
        assert len(frames) == 2, len(frames)
        for f in frames:
            digest.update(f)
    print(digest.hexdigest(), flush=True)
    sock.close()
elif mode == "pub":
    sock = ctx.socket(zmq.PUB)
    sock.setsockopt(zmq.SNDHWM, 0)
    attach(sock)
    while not select.select([sys.stdin], [], [], 0.005)[0]:
        sock.send(b"probe")
    now = int(time.time())
    for n in range(count):
        topic = "org.fedoraproject.dev.exam.n%d" % (n % 7)
        body = json.dumps(
            {"topic": topic, "msg": {"n": n, "pad": "x" * (n % 600)}, "msg_id": "2026-%d" % n, "timestamp": now, "i": n},
            separators=(", ", ": ") if n % 2 else (",", ":"))
        for f in (topic.encode(), body.encode()):
            digest.update(f)
        sock.send_multipart([topic.encode(), body.encode()])
    print(digest.hexdigest(), flush=True)
    sock.close()
elif mode == "flap":
    end, times = time.time() + count, 0
    while time.time() < end:
        socks = [ctx.socket(zmq.SUB) for _ in range(200)]
        for s in socks:
            s.setsockopt(zmq.LINGER, 0)
            s.setsockopt(zmq.SUBSCRIBE, b"")
            s.connect(addr)
        time.sleep(0.05)
        for s in socks:
            s.close()
        times += 1
    print(times, flush=True)
ctx.term()
