"""JSON as fedmsg writes it."""
import datetime
import json
import time
from typing import Any


def _default(o: Any) -> Any:
    if hasattr(o, "__json__"):
        return o.__json__()
    if isinstance(o, (datetime.datetime, datetime.date)):
        return time.mktime(o.timetuple())  # a float of whole seconds, local time
    if isinstance(o, (set, frozenset)):
        return list(o)
    raise TypeError(f"{type(o).__name__} cannot be written as JSON")


def dumps(o: Any) -> str:
    """The canonical form: sorted names, no blanks, ASCII."""
    return json.dumps(o, sort_keys=True, separators=(",", ":"), default=_default)


def pretty_dumps(o: Any) -> str:
    """The same value in indented lines."""
    return json.dumps(o, indent=2, default=_default)


loads = json.loads
