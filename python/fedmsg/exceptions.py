"""What can go wrong."""
from typing import Optional


class BusError(Exception):
    """The bus refused something, or cannot be reached.

    code is the stable word of a refusal, such as "bad_topic", empty if there was no
    answer; status the one of HTTP, 0 without an answer.
    """

    def __init__(self, text: str, code: str = "", status: int = 0, retry_after: float = 0.0) -> None:
        super().__init__(text)
        self.code, self.status, self.retry_after = code, status, retry_after

    @property
    def temporary(self) -> bool:
        """Whether the same request may succeed later."""
        return self.code not in ("storage_full", "tls") and (self.status in (0, 429) or self.status >= 500)


class PublishError(BusError):
    """A message was not published, or nobody knows: sending the same msg_id again is safe."""

    msg_id: Optional[str] = None


class ConfigError(ValueError):
    """A setting is not what it should be."""


class GapWarning(UserWarning):
    """Messages are missing from what tail_messages yields: the bus has them no longer."""
