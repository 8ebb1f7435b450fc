"""A bus, as one program sees it."""
import getpass
import http.client
import itertools
import os
import sys
import time
import uuid
import warnings
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple
from urllib.parse import urlencode

from fedmsg import _http, encoding
from fedmsg import config as settings
from fedmsg.exceptions import BusError, GapWarning, PublishError

#: What tail_messages yields: name, endpoint, topic, message.
Received = Tuple[str, str, str, Dict[str, Any]]

_count = itertools.count(1)  # messages of this process; next() is atomic

SILENCE = 45.0  # seconds without a sign of life, of which the bus gives one every 15
MAX_LINE = 7 << 20  # bytes: a message of 1 MiB, all of whose characters are escaped


def _caller() -> str:
    """The first top-level module up the stack that is not fedmsg."""
    frame = sys._getframe(1)
    while frame is not None:
        name = str(frame.f_globals.get("__name__", "")).split(".")[0]
        if name != "fedmsg":
            return name
        frame = frame.f_back  # type: ignore[assignment]
    return "__main__"


class FedMsgContext:
    """The settings of one program. It holds no connection, may be used by any number of
    threads and after a fork, and in a with statement."""

    def __init__(self, **config: Any) -> None:
        self.config = {**settings.load_config(), **config}
        self._checked = settings.check(self.config)

    def __enter__(self) -> "FedMsgContext":
        return self

    def __exit__(self, *exc: Any) -> None:
        self.destroy()

    def destroy(self) -> None:
        """There is nothing to close."""

    def _topic(self, topic: Optional[str], modname: Optional[str]) -> str:
        prefix = self.config["topic_prefix"]
        whole = (modname or _caller()) + "." + (topic or "unspecified")
        if whole.startswith(prefix):
            return whole
        return ".".join((prefix, self.config["environment"], whole))

    def publish(self, topic: Optional[str] = None, msg: Any = None, modname: Optional[str] = None,
                pre_fire_hook: Optional[Callable[[Dict[str, Any]], None]] = None, **kw: Any) -> Dict[str, Any]:
        """Publish msg, a dict, and return its id, seq and topic once it is on the bus's disk.

        A bus that does not answer is tried for the time of the setting timeout. Then, and
        if the message is refused, a PublishError says why. It is never published twice.
        """
        message = {
            "topic": self._topic(topic, modname), "msg": msg or {}, "timestamp": int(time.time()),
            "msg_id": f"{time.localtime().tm_year}-{uuid.uuid4()}", "i": next(_count),
        }
        try:
            message["username"] = getpass.getuser()
        except (OSError, KeyError, ImportError):
            pass  # a user without a name
        if pre_fire_hook:
            pre_fire_hook(message)
        body = encoding.dumps(message)
        try:
            return _http.patiently(self._checked, lambda: _http.ask(self._checked, "/api/v1/publish", body))
        except BusError as err:
            failed = PublishError(f"publish {message['topic']}: {err}", err.code, err.status, err.retry_after)
            failed.msg_id = message["msg_id"]
            raise failed from None

    send_message = publish

    def tail_messages(self, topic: Any = "", passive: bool = False, **kw: Any) -> Iterator[Received]:
        """Yield (name, endpoint, topic, message) of what is published from now on.

        topic is what topics begin with, a star at its end ignored, or a list of such. A
        lost connection is made again, for ever, and goes on after the last message: none is
        lost, none comes twice. Where messages are gone for good there is a GapWarning. A bus
        that is not there at all for the time of the setting timeout is a BusError.
        """
        prefixes = [t.rstrip("*#>") for t in ([topic] if isinstance(topic, str) else topic)] or [""]
        # The last word may go on: all that the bus can be asked for are the words before it.
        words = [p.rpartition(".")[0] for p in prefixes]
        path = "/api/v1/events"
        if all(words):
            path += "?" + urlencode([("topic", w + ".#") for w in words])
        endpoint = self._checked["bus"]
        for message in _Tail(self._checked, path).messages():
            if str(message.get("topic")).startswith(tuple(prefixes)):
                yield "bus", endpoint, message["topic"], message


class _Tail:
    """One reader's way through several connections."""

    def __init__(self, config: Dict[str, Any], path: str) -> None:
        self.config, self.path = config, path
        self.last = ""  # ID of the last event
        self.pause, self.hint = _http.FIRST_PAUSE, 0.0

    def messages(self) -> Iterator[Dict[str, Any]]:
        response = _http.patiently(self.config, self._open)
        while True:
            try:
                with response:
                    yield from self._follow(response)
            except BusError as err:
                if not err.temporary:
                    raise
            while True:
                time.sleep(max(_http.jitter(self.pause), self.hint))
                self.pause = min(2 * self.pause, _http.MAX_PAUSE)
                try:
                    response = self._open()
                    break
                except BusError as err:
                    if not err.temporary:
                        raise
                    self.hint = err.retry_after

    def _open(self) -> Any:
        headers = {"Accept": "text/event-stream"}
        if self.last:
            headers["Last-Event-ID"] = self.last
        return _http.call(self.config, self.path, headers=headers, timeout=SILENCE)

    def _follow(self, response: Any) -> Iterator[Dict[str, Any]]:
        """The messages of one connection. A process that was forked from the one that made
        it leaves it to that one."""
        process = os.getpid()
        for event in self._events(response):
            self.last = event.get("id", self.last)
            self.pause, self.hint = _http.FIRST_PAUSE, 0.0
            data = encoding.loads(event["data"])
            if event.get("event") == "gap":
                warnings.warn(GapWarning(_gap(data)), stacklevel=4)
            elif event.get("event", "message") == "message":
                yield data["message"]
            if os.getpid() != process:
                return

    def _events(self, response: Any) -> Iterator[Dict[str, str]]:
        event: Dict[str, str] = {}
        for line in self._lines(response):
            name, _, value = line.partition(":")
            value = value[1:] if value.startswith(" ") else value
            if not line:
                if "data" in event:
                    yield event
                event = {}
            elif name == "data" and "data" in event:
                event["data"] += "\n" + value
            elif name == "retry" and value.isdigit():
                self.hint = min(float(value) / 1000, _http.MAX_PAUSE)
            elif name:
                event[name] = value
            elif not self.last and value.startswith("epoch "):
                # Where now is: who is cut before the first event goes on from here.
                self.last = "-".join(value.split()[1::2])

    def _lines(self, response: Any) -> Iterable[str]:
        while True:
            try:
                line = response.readline(MAX_LINE)
            except (OSError, http.client.HTTPException, ValueError) as err:
                raise _http.lost(self.config, err) from None
            if not line.endswith(b"\n"):
                return  # half a line, and so half an event, is none
            yield line.rstrip(b"\r\n").decode("utf-8")


def _gap(data: Dict[str, Any]) -> str:
    reasons = {
        "epoch": "the bus has a new log, so messages may be missing; going on with all of it",
        "too_old": f"messages are missing: the log keeps only those from {data.get('first')} on; going on there",
    }
    return reasons.get(str(data.get("reason")), f"the log ends at {data.get('last')}; going on with what comes from now on")
