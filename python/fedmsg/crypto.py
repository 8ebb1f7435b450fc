"""Who signed what. The bus judges: it has the certificates, the list and the policy."""
from typing import Any, Dict

from fedmsg import _http, encoding
from fedmsg.core import FedMsgContext
from fedmsg.exceptions import BusError


def _verdict(message: Dict[str, Any], config: Dict[str, Any]) -> str:
    """The stamp of a good message, such as x509:CN, or "" for any other."""
    checked = FedMsgContext(**config)._checked
    body = encoding.dumps(message)
    try:
        return str(_http.patiently(checked, lambda: _http.ask(checked, "/api/v1/verify", body))["verified"])
    except BusError as err:
        if err.code and err.status in (400, 403, 413):
            return ""
        raise


def validate(message: Dict[str, Any], **config: Any) -> bool:
    """Whether the signature is good and its signer may speak on the topic. A BusError, if
    the bus cannot be asked, is no verdict. A message of which GnuPG signed only the body
    is not valid as a whole."""
    return _verdict(message, config).startswith("x509:")


def validate_signed_by(message: Dict[str, Any], signer: str, **config: Any) -> bool:
    """Whether it is valid and signed with the certificate of this name."""
    return _verdict(message, config) == "x509:" + signer


def strip_credentials(message: Dict[str, Any]) -> Dict[str, Any]:
    """A copy without signature and certificate."""
    return {k: v for k, v in message.items() if k not in ("signature", "certificate")}


def sign(message: Dict[str, Any], **config: Any) -> Dict[str, Any]:
    """Not here: the bus signs what is published through it, for whom it knows by a token or
    a client certificate, and signs nothing that it does not also keep."""
    raise NotImplementedError("the bus signs what is published through it: call fedmsg.publish")
