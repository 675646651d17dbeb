"""What an OAuth answer grants, and what a browser is told."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from pydantic import SecretStr

SCOPES: Final = (
    "app_mentions:read",
    "channels:history",
    "channels:join",
    "channels:read",
    "chat:write",
    "chat:write.customize",
    "commands",
    "files:write",
    "im:history",
    "im:write",
    "reactions:read",
    "team:read",
    "users:read",
    "assistant:write",
)
TTL_S: Final = 600  # an installation under way
_TEAM: Final = re.compile(r"T[A-Z0-9]{1,30}", re.ASCII)
_ENTERPRISE: Final = re.compile(r"E[A-Z0-9]{1,30}", re.ASCII)
_USER: Final = re.compile(r"[UW][A-Z0-9]{1,30}", re.ASCII)
_APP: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)  # 32 random bytes
_CODE: Final = re.compile(r"[\x21-\x7e]{1,500}", re.ASCII)


@dataclass(frozen=True)
class Pair:
    """A bot token, and where tokens expire what renews it."""

    token: SecretStr
    refresh_token: SecretStr | None = None
    expires_in_s: int | None = None


@dataclass(frozen=True)
class Grant:
    """What somebody allowed: one workspace, or (`org_wide`) all of an organisation."""

    installed_id: str  # the workspace's id, or the organisation's
    name: str
    enterprise_id: str | None
    org_wide: bool
    api_app_id: str
    bot_user_id: str
    scopes: str
    pair: Pair


class NotGranted(Exception):
    """Slack's answer grants nothing that we can use; the reason is for the log."""


@dataclass(frozen=True)
class Page:
    """What a browser is told, in one plain sentence or two."""

    status: int
    title: str
    text: str


START_AGAIN: Final = "Please start again at /slack/install."
DENIED: Final = Page(400, "Nothing was installed", f"The installation was not allowed. {START_AGAIN}")
STALE: Final = Page(
    400,
    "This link can't be used",
    f"It was used before, is older than ten minutes, or began in another browser. {START_AGAIN}",
)
NOT_TAKEN: Final = Page(400, "Nothing was installed", f"Slack did not accept the installation. {START_AGAIN}")
AWAY: Final = Page(503, "Nothing was installed", f"Slack or doppel can't be reached right now. {START_AGAIN}")


def installed_page(grant: Grant) -> Page:
    """It worked."""
    where = f"in all of {grant.name}" if grant.org_wide else f"in {grant.name}"
    return Page(
        200, "doppel is installed", f"It is now {where}. Invite @doppel to a channel, or type /doppel help."
    )


def is_secret(text: str | None) -> bool:
    """Has it the shape of what we made?"""
    return text is not None and bool(_SECRET.fullmatch(text))


def is_code(text: str | None) -> bool:
    """May it be sent to Slack as a code?"""
    return text is not None and bool(_CODE.fullmatch(text))


def is_team(text: str | None) -> bool:
    """Is it a workspace's id?"""
    return text is not None and bool(_TEAM.fullmatch(text))


def grant_of(answer: Mapping[str, Any]) -> Grant:
    """Read what ``oauth.v2.access`` answers. Raises NotGranted."""
    if answer.get("token_type") != "bot":
        raise NotGranted("no bot token")
    team, enterprise = _object(answer.get("team")), _object(answer.get("enterprise"))
    org_wide = answer.get("is_enterprise_install") is True
    enterprise_id = _match(_ENTERPRISE, enterprise.get("id"))
    installed_id = enterprise_id if org_wide else _match(_TEAM, team.get("id"))
    app_id, bot = _match(_APP, answer.get("app_id")), _match(_USER, answer.get("bot_user_id"))
    if installed_id is None or app_id is None or bot is None:
        raise NotGranted("ids are missing")
    name = str((enterprise if org_wide else team).get("name") or installed_id)[:200]
    return Grant(
        installed_id,
        name,
        enterprise_id,
        org_wide,
        app_id,
        bot,
        str(answer.get("scope") or ""),
        pair_of(answer),
    )


def pair_of(answer: Mapping[str, Any]) -> Pair:
    """The tokens of an answer. Raises NotGranted."""
    token, refresh = answer.get("access_token"), answer.get("refresh_token")
    if not isinstance(token, str) or not token:
        raise NotGranted("no token")
    if not isinstance(refresh, str) or not refresh:
        return Pair(SecretStr(token))
    expires_in = answer.get("expires_in")
    if not isinstance(expires_in, int) or expires_in <= 0:
        raise NotGranted("a refresh token that never expires")
    return Pair(SecretStr(token), SecretStr(refresh), expires_in)


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _match(pattern: re.Pattern[str], value: object) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None
