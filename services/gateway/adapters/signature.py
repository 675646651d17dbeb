"""Slack's request signature, in bytes throughout, so that hostile headers are a no and never an exception.

``v0=`` + hex HMAC-SHA256(secret, ``v0:<timestamp>:<raw body>``); docs.slack.dev, "Verifying requests from Slack".
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final

WINDOW_S: Final = 300
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_SIGNATURE: Final = re.compile(r"v0=[0-9a-f]{64}", re.ASCII)


def is_signed(
    secret: str, body: bytes, *, timestamps: Sequence[str], signatures: Sequence[str], now_s: float
) -> bool:
    """Is this body Slack's and fresh? Exactly one header of each kind, or it is not."""
    if len(timestamps) != 1 or len(signatures) != 1:
        return False
    timestamp, signature = timestamps[0], signatures[0]
    if not _TIMESTAMP.fullmatch(timestamp) or not _SIGNATURE.fullmatch(signature):
        return False
    if abs(now_s - int(timestamp)) > WINDOW_S:
        return False
    signed = b"v0:" + timestamp.encode() + b":" + body
    expected = "v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode())
