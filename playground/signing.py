"""Slack's signature: v0 = HMAC-SHA256 over ``v0:<timestamp>:<raw body>``."""

import hashlib
import hmac
from typing import Literal

Signature = Literal["good", "bad", "missing", "old"]
# Receivers accept 300 s either way.
_OLD_S = 3600


def signature_of(secret: str, timestamp: int, body: bytes) -> str:
    """The value of X-Slack-Signature."""
    digest = hmac.new(secret.encode(), b"v0:%d:%s" % (timestamp, body), hashlib.sha256)
    return f"v0={digest.hexdigest()}"


def signed_headers(secret: str, body: bytes, *, now: int, kind: Signature = "good") -> dict[str, str]:
    """Both headers, or a deliberately wrong pair."""
    if kind == "missing":
        return {}
    timestamp = now - _OLD_S if kind == "old" else now
    signature = signature_of("another secret" if kind == "bad" else secret, timestamp, body)
    return {"X-Slack-Request-Timestamp": str(timestamp), "X-Slack-Signature": signature}
