"""Requests to the bus. Each has a connection of its own, so threads and forks share none."""
import functools
import http.client
import json
import random
import ssl
import time
import urllib.error
import urllib.request
from typing import Any, Callable, Dict, Optional, TypeVar
from urllib.parse import urlsplit

from fedmsg.exceptions import BusError

T = TypeVar("T")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token goes to nobody but whom it was meant for."""

    def redirect_request(self, *args: Any) -> None:
        return None


@functools.lru_cache(maxsize=None)
def _opener(here: bool) -> urllib.request.OpenerDirector:
    """What opens connections, through no proxy if the bus is here. Made once: from Python
    3.12 on it reads all certificates of the system."""
    return urllib.request.build_opener(_NoRedirect, *([urllib.request.ProxyHandler({})] if here else []))


def call(config: Dict[str, Any], path: str, body: Optional[str] = None,
         headers: Optional[Dict[str, str]] = None, timeout: float = 10.0) -> Any:
    """The response to a GET, or to a POST of body. timeout is how long the bus may be
    silent, in seconds. All that can go wrong is a BusError."""
    request = urllib.request.Request(config["bus"] + path, body and body.encode("ascii"), headers or {})
    if body is not None:
        request.add_header("Content-Type", "application/json")
    if config["token"]:
        request.add_header("Authorization", "Bearer " + config["token"])
    here = urlsplit(config["bus"]).hostname in ("localhost", "127.0.0.1", "::1")
    try:
        return _opener(here).open(request, timeout=timeout)
    except urllib.error.HTTPError as err:
        raise _problem(err) from None
    except (OSError, http.client.HTTPException) as err:
        raise lost(config, err) from None


def lost(config: Dict[str, Any], err: Exception) -> BusError:
    """What a broken connection, or none, is to the caller."""
    reason = getattr(err, "reason", None) or err
    code = "tls" if isinstance(reason, ssl.SSLCertVerificationError) else ""
    return BusError(f"{config['bus']}: {reason}; is the bus running? start one with: fedmsg serve", code)


def _problem(err: urllib.error.HTTPError) -> BusError:
    with err:
        try:
            problem = json.loads(err.read(1 << 16))
            code, detail = str(problem["code"]), str(problem.get("detail", ""))
        except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
            code, detail = "", f"the bus, or a proxy before it, answered {err.code}"
        after = err.headers.get("Retry-After") or "0"
        text = ": ".join(filter(None, (code, str(problem.get("field") or "") if code else "", detail)))
        return BusError(text, code, err.code, float(after) if after.isdigit() else 0.0)


def ask(config: Dict[str, Any], path: str, body: Optional[str] = None) -> Any:
    """The JSON of an answer."""
    with call(config, path, body) as response:
        try:
            return json.load(response)
        except (ValueError, OSError, http.client.HTTPException) as err:
            raise lost(config, err) from None


FIRST_PAUSE, MAX_PAUSE = 0.1, 10.0  # seconds


def jitter(pause: float) -> float:
    """Spread a pause, so that many programs do not come back at once."""
    return random.uniform(pause / 2, pause)


def patiently(config: Dict[str, Any], do: Callable[[], T]) -> T:
    """Do it until there is an answer that will not change, or the timeout is over."""
    end, pause = time.monotonic() + config["timeout"], FIRST_PAUSE
    while True:
        try:
            return do()
        except BusError as err:
            wait = max(jitter(pause), err.retry_after)
            if not err.temporary or time.monotonic() + wait > end:
                raise
        time.sleep(wait)
        pause = min(2 * pause, MAX_PAUSE)
