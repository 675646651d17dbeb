"""The Slack client: no retries of its own, a deadline on each call, and errors in three kinds."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final, Protocol, cast

import aiohttp
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from proto.errors import DoppelError, TransientError

DEFAULT_RETRY_AFTER_S: Final = 30.0
TOKEN_DEAD: Final = frozenset(
    (
        "invalid_auth",
        "account_inactive",
        "token_revoked",
        "not_authed",
        "org_login_required",
        "team_access_not_granted",
    )
)
_RATE_LIMITED: Final = frozenset(("ratelimited", "rate_limited", "message_limit_exceeded"))
_MAYBE_DONE: Final = frozenset(("internal_error", "fatal_error", "service_unavailable", "request_timeout"))
TOO_MANY_REQUESTS: Final = 429
SERVER_ERROR: Final = 500


class SlackRefused(DoppelError):
    """Slack said no: definitely not done, and not by itself better later. `reason` is Slack's own code."""

    code = "slack_refused"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Slack refused: {reason}.")
        self.reason = reason

    @property
    def token_is_dead(self) -> bool:
        """Nothing will work with this token any more."""
        return self.reason in TOKEN_DEAD


class SlackAway(TransientError):
    """Definitely not done; worth another try after `delay_s`."""

    code = "slack_away"


class SlackUnknown(TransientError):
    """It may have happened: look before a write is repeated."""

    code = "slack_unknown"


class _Answer(Protocol):
    """The part of slack-sdk's response that is read here."""

    status_code: int
    data: object
    headers: Mapping[str, str]


def kind_of(error: Exception) -> SlackRefused | SlackAway | SlackUnknown | None:
    """Sort what slack-sdk and aiohttp raise; None: not Slack's doing. Status before body: a body may be HTML."""
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ClientConnectionResetError)):
        return SlackAway("Slack can't be reached.")
    if isinstance(error, (aiohttp.ClientError, TimeoutError, ConnectionError)):
        return SlackUnknown("Slack did not answer.")
    if not isinstance(error, SlackClientError):
        return None
    answer = getattr(error, "response", None)
    if not isinstance(getattr(answer, "status_code", None), int):
        return SlackUnknown("Slack's answer can't be read.")
    response = cast("_Answer", answer)
    data = response.data
    reason = str(cast("dict[str, Any]", data).get("error") or "") if isinstance(data, dict) else ""
    if response.status_code == TOO_MANY_REQUESTS or reason in _RATE_LIMITED:
        return SlackAway("Slack asks to wait.", delay_s=_retry_after(response.headers))
    if response.status_code >= SERVER_ERROR or not reason or reason in _MAYBE_DONE:
        return SlackUnknown("Slack failed half-way.")
    return SlackRefused(reason)


def _retry_after(headers: Mapping[str, str]) -> float:
    found = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return float(found) if found.isascii() and found.isdigit() else DEFAULT_RETRY_AFTER_S


@contextlib.contextmanager
def sorted_errors():
    """Raise what happens inside as SlackRefused, SlackAway or SlackUnknown."""
    try:
        yield
    except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
        kind = kind_of(error)
        if kind is None:
            raise
        raise kind from error


class SlackConnection:
    """One HTTP session for all workspaces of a process; a client per token comes cheap."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self._base_url = base_url

    def client(self, token: str) -> AsyncWebClient:
        """A client for one token. Nothing is retried: slack-sdk's default posts twice after a reset."""
        client = AsyncWebClient(
            token=token,
            base_url=self._base_url,
            session=self._session,
            retry_handlers=[],
            trust_env_in_session=False,
        )
        client.proxy = None  # it obeys HTTP_PROXY and ignores NO_PROXY, also for loopback
        return client


@contextlib.asynccontextmanager
async def open_slack(api_url: str, timeout_s: float) -> AsyncGenerator[SlackConnection]:
    """A session whose every call ends within `timeout_s`. `api_url` is Slack's or the playground's."""
    timeout = aiohttp.ClientTimeout(total=timeout_s, connect=min(timeout_s, 5.0))
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
        yield SlackConnection(session, api_url.rstrip("/") + "/")
    await asyncio.sleep(0)  # lets aiohttp close its transports
