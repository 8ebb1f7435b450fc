"""Settings: defaults, then files, then the environment, then keywords."""
import ast
import glob
import os
from typing import Any, Dict, List, Optional
from urllib.parse import urlsplit

from fedmsg.exceptions import ConfigError

defaults: Dict[str, Any] = {
    "bus": "http://127.0.0.1:8330",
    "token": "",
    "token_file": "",
    "topic_prefix": "org.fedoraproject",
    "environment": "dev",
    "timeout": 15.0,  # seconds for which a bus that does not answer is tried
}

#: Folders of files *.py, read in the order of their names. Not the working directory: who
#: can write there should not choose where messages go.
folders = ["/etc/fedmsg.d", "~/.fedmsg.d"]

_cache: Optional[Dict[str, Any]] = None


def _read(filename: str) -> Dict[str, Any]:
    """The values of config = dict(...) or {...} in a file, which is not run: what is
    computed there is left out, and refused if it is a setting of ours."""
    with open(filename, encoding="utf-8") as f:
        try:
            tree = ast.parse(f.read())
        except (SyntaxError, ValueError) as err:
            raise ConfigError(f"{filename}: {err}") from None
    found: Dict[str, Any] = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign) or [getattr(t, "id", None) for t in node.targets] != ["config"]:
            continue
        value, items = node.value, []
        if isinstance(value, ast.Dict):
            items = [(k.value, v) for k, v in zip(value.keys, value.values) if isinstance(k, ast.Constant)]
        elif isinstance(value, ast.Call) and getattr(value.func, "id", None) == "dict":
            items = [(k.arg, k.value) for k in value.keywords]
        for key, v in items:
            try:
                found[str(key)] = ast.literal_eval(v)
            except ValueError:
                if key in defaults:
                    raise ConfigError(f"{filename}:{v.lineno}: {key}: is computed, and files are not run; "
                                      f"write the value, or set FEDMSG_{str(key).upper()}") from None
    return found


def load_config(extra_args: Any = None, doc: Any = None, filenames: Optional[List[str]] = None,
                invalidate_cache: bool = False, fedmsg_command: bool = False,
                disable_defaults: bool = False) -> Dict[str, Any]:
    """A fresh copy of the settings. filenames replaces the folders. extra_args, doc and
    fedmsg_command are taken for old callers and mean nothing."""
    global _cache
    if _cache is not None and filenames is None and not invalidate_cache:
        return dict(_cache)
    config: Dict[str, Any] = {} if disable_defaults else dict(defaults)
    names = filenames
    if names is None:
        names = [n for d in folders for n in sorted(glob.glob(os.path.join(os.path.expanduser(d), "*.py")))]
    for name in names:
        config.update(_read(name))
    for key in defaults:
        value = os.environ.get("FEDMSG_" + key.upper())
        if value:
            config[key] = value
    if filenames is None:
        _cache = dict(config)
    return config


def check(config: Dict[str, Any]) -> Dict[str, Any]:
    """The settings, checked, with the token that they name."""
    config = dict(config)
    bus = config["bus"] if "://" in config["bus"] else "http://" + config["bus"]
    url = urlsplit(bus)
    if url.scheme not in ("http", "https") or not url.hostname or url.query or "@" in url.netloc:
        raise ConfigError(f"bus: {bus!r} is not http://HOST:PORT or https://HOST:PORT")
    config["bus"] = bus.rstrip("/")
    try:
        config["timeout"] = float(config["timeout"])
    except (TypeError, ValueError):
        raise ConfigError(f"timeout: {config['timeout']!r} is no number of seconds") from None
    if config["token_file"]:
        with open(config["token_file"], encoding="utf-8") as f:
            config["token"] = f.read().strip()
        if len(config["token"].split()) != 1:
            raise ConfigError(f"token_file: {config['token_file']}: must hold one token and nothing else")
    return config
