"""Slack's signature: a published vector, and hostile headers that are a no and never an exception."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.adapters.signature import is_signed

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
TIMESTAMP = "1531420618"
BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SIGNATURE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


def check(
    body: bytes = BODY,
    timestamps: list[str] | None = None,
    signatures: list[str] | None = None,
    now_s: float = int(TIMESTAMP),
) -> bool:
    return is_signed(
        SECRET,
        body,
        timestamps=[TIMESTAMP] if timestamps is None else timestamps,
        signatures=[SIGNATURE] if signatures is None else signatures,
        now_s=now_s,
    )


def test_slacks_own_example() -> None:
    assert check()


@pytest.mark.parametrize(("off_s", "ok"), [(300, True), (-300, True), (301, False), (-301, False)])
def test_the_window_is_five_minutes(off_s: int, ok: bool) -> None:
    assert check(now_s=int(TIMESTAMP) + off_s) is ok


@pytest.mark.parametrize(
    "headers",
    [
        {"signatures": []},
        {"timestamps": []},
        {"signatures": [SIGNATURE, SIGNATURE]},
        {"timestamps": [TIMESTAMP, TIMESTAMP]},
        {"signatures": [SIGNATURE.upper()]},
        {"signatures": [SIGNATURE.removeprefix("v0=")]},
        {"signatures": ["v0=" + "é" * 64]},
        {"timestamps": ["9" * 5000]},
        {"timestamps": ["nan"]},
        {"timestamps": ["-1"]},
        {"timestamps": ["١٥٣١٤٢٠٦١٨"]},
        {"timestamps": [TIMESTAMP + "\n"]},
    ],
)
def test_anything_else_is_not_slacks(headers: dict[str, list[str]]) -> None:
    assert not check(**headers)


@given(st.binary(max_size=400), st.text(max_size=90), st.text(max_size=20))
def test_noise_is_never_an_exception(body: bytes, signature: str, timestamp: str) -> None:
    assert not check(body, [timestamp], [signature])
    assert not check(body, [TIMESTAMP], [signature])
    assert check(body) is (body == BODY)
