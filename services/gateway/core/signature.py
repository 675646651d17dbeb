"""Slack's request signature, version 0: ``v0=`` + hex HMAC-SHA256 of ``v0:<ts>:<raw body>``.

Source: docs.slack.dev, "Verifying requests from Slack". Bytes throughout: slack-sdk's verifier raises on hostile input.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final

WINDOW_S: Final = 300
_TS: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_SIGNATURE: Final = re.compile(r"v0=[0-9a-f]{64}", re.ASCII)


def is_from_slack(
    secret: bytes, body: bytes, timestamps: Sequence[str], signatures: Sequence[str], now_s: float
) -> bool:
    """Exactly one header of each, fresh to 300 s, right signature."""
    if len(timestamps) != 1 or len(signatures) != 1:
        return False
    timestamp, signature = timestamps[0], signatures[0]
    if not _TS.fullmatch(timestamp) or not _SIGNATURE.fullmatch(signature):
        return False
    if abs(now_s - int(timestamp)) > WINDOW_S:
        return False
    expected = hmac.new(secret, b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"v0={expected}".encode(), signature.encode())
