"""Publish to a fedmsg bus, and listen to it, under the names that fedmsg 1.x had.

    import fedmsg
    fedmsg.publish(topic='testing', modname='test', msg={'test': 'Hello World'})

    for name, endpoint, topic, msg in fedmsg.tail_messages():
        print(topic, msg)

What was published is on the bus's disk when publish returns. All of it talks HTTP to
one bus; see README.md for where it looks for that, and for what differs from 1.x.
"""
from typing import Any, Callable, Dict, Iterator, Optional

from fedmsg.core import FedMsgContext, Received
from fedmsg.exceptions import BusError, ConfigError, GapWarning, PublishError

__all__ = [
    "init", "publish", "send_message", "tail_messages", "destroy",
    "BusError", "ConfigError", "GapWarning", "PublishError", "FedMsgContext",
]

_context: Optional[FedMsgContext] = None


def init(**config: Any) -> FedMsgContext:
    """Read the configuration, of which keywords override single keys.

    There is one context for all threads. Another call replaces it, so that threads may
    each call it, as they had to.
    """
    global _context
    _context = FedMsgContext(**config)
    return _context


def _current(config: Dict[str, Any]) -> FedMsgContext:
    """The context, made if need be; config overrides it for one call."""
    context = _context
    if context is None:
        return init(**config)
    return FedMsgContext(**{**context.config, **config}) if config else context


def publish(topic: Optional[str] = None, msg: Any = None, modname: Optional[str] = None,
            pre_fire_hook: Optional[Callable[[Dict[str, Any]], None]] = None, **kw: Any) -> Dict[str, Any]:
    """Publish a message; see FedMsgContext.publish. Other keywords are configuration."""
    return _current(kw).publish(topic=topic, msg=msg, modname=modname, pre_fire_hook=pre_fire_hook)


send_message = publish


def tail_messages(topic: Any = "", passive: bool = False, **kw: Any) -> Iterator[Received]:
    """Yield (name, endpoint, topic, message) for ever; see FedMsgContext.tail_messages."""
    return _current(kw).tail_messages(topic=topic, passive=passive)


def destroy() -> None:
    """Forget the context. Nothing is open between calls, and nothing waits to be sent."""
    global _context
    _context = None
