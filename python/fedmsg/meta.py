"""What messages mean to people. The bus knows the rules, and is asked by msg_id."""
from typing import Any, Callable, Dict, Tuple
from urllib.parse import quote

from fedmsg import _http
from fedmsg.core import FedMsgContext

_FIELDS = ("title", "subtitle", "link", "icon", "secondary_icon", "usernames", "packages",
           "objects", "long_form", "agent", "emails", "avatars")

_latest: Tuple[str, Dict[str, Any]] = ("", {})  # one message is mostly asked for several things


def make_processors(**config: Any) -> None:
    """Taken for old callers: there is nothing to load."""


def _words(msg: Dict[str, Any], config: Dict[str, Any]) -> Dict[str, Any]:
    global _latest
    known, words = _latest
    if known != msg["msg_id"] or not known:
        checked = FedMsgContext(**{k: v for k, v in config.items() if k != "processor"})._checked
        path = f"/api/v1/messages/{quote(str(msg['msg_id']), safe='')}?meta={','.join(_FIELDS)}"
        words = _http.patiently(checked, lambda: _http.ask(checked, path))["meta"]
        _latest = msg["msg_id"], words
    return words


def _teller(field: str, kind: Callable[[Any], Any] = lambda value: value) -> Callable[..., Any]:
    def tell(msg: Dict[str, Any], legacy: bool = False, **config: Any) -> Any:
        return kind(_words(msg, config)[field])
    tell.__name__ = tell.__qualname__ = "msg2" + field
    tell.__doc__ = f"The {field} of a message that the bus has; a BusError if it has not."
    return tell


msg2title = _teller("title")
msg2subtitle = _teller("subtitle")
msg2link = _teller("link")
msg2icon = _teller("icon")
msg2secondary_icon = _teller("secondary_icon")
msg2usernames = _teller("usernames", set)
msg2packages = _teller("packages", set)
msg2objects = _teller("objects", set)
msg2long_form = _teller("long_form")
msg2agent = _teller("agent")
msg2emails = _teller("emails")
msg2avatars = _teller("avatars")


def msg2repr(msg: Dict[str, Any], legacy: bool = False, **config: Any) -> str:
    """Title, subtitle and link in one line."""
    words = _words(msg, config)
    return f"{words['title']} -- {words['subtitle']} {words['link']}"
