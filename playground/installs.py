"""Who installed the app where: codes that are good once, tokens, and refresh tokens that are good once."""

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

CODE_S = 600.0


class InstallError(Exception):
    """Slack's own code for it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
        self.extra: dict[str, Any] = {}


@dataclass
class Install:
    """The app in one workspace, or (`org_wide`) in all of an organisation."""

    installed_id: str
    org_wide: bool
    token: str
    refresh_token: str | None = None
    expires_at: float | None = None


@dataclass
class Code:
    """What somebody allowed, on its way through their browser."""

    installed_id: str
    redirect_uri: str
    expires_at: float


@dataclass
class Installs:
    """All of them. `life_s`: how long a token lives where they end at all."""

    rotation: bool = False
    life_s: float = 43_200
    codes: dict[str, Code] = field(default_factory=dict[str, Code])
    living: dict[str, Install] = field(default_factory=dict[str, Install])
    dead_tokens: set[str] = field(default_factory=set[str])

    def allow(self, installed_id: str, redirect_uri: str) -> str:
        """Somebody pressed Allow; the code for the redirect."""
        code = secrets.token_hex(24)
        self.codes[code] = Code(installed_id, redirect_uri, time.monotonic() + CODE_S)
        return code

    def exchange(self, code: str, redirect_uri: str) -> Install:
        """Use a code up. Without rotation a workspace that has the app keeps its token, as at Slack."""
        found = self.codes.pop(code, None)
        if found is None or found.expires_at < time.monotonic():
            raise InstallError("invalid_code")
        if found.redirect_uri != redirect_uri:
            raise InstallError("bad_redirect_uri")
        known = self.living.get(found.installed_id)
        if known is None or self.rotation:
            known = Install(found.installed_id, found.installed_id.startswith("E"), _token("xoxb"))
            self.living[found.installed_id] = known
            if self.rotation:
                self._new_pair(known)
        return known

    def refresh(self, refresh_token: str) -> Install:
        """Use a refresh token up: the old pair is over."""
        known = next((each for each in self.living.values() if each.refresh_token == refresh_token), None)
        if known is None:
            raise InstallError("invalid_refresh_token")
        self.dead_tokens.add(known.token)
        self._new_pair(known)
        return known

    def _new_pair(self, install: Install) -> None:
        install.token, install.refresh_token = _token("xoxe.xoxb-1"), _token("xoxe-1")
        install.expires_at = time.monotonic() + self.life_s

    def of_token(self, token: str) -> Install | None:
        """Whose token it is; None: nobody's that we know. Raises InstallError where it is dead."""
        if token in self.dead_tokens:
            raise InstallError("token_revoked")
        found = next((each for each in self.living.values() if each.token == token), None)
        if found is not None and found.expires_at is not None and found.expires_at < time.monotonic():
            raise InstallError("token_expired")
        return found

    def remove(self, installed_id: str) -> bool:
        """Uninstall: the token dies. False: it was not installed."""
        found = self.living.pop(installed_id, None)
        if found is not None:
            self.dead_tokens.add(found.token)
        return found is not None

    def clear(self) -> None:
        """Nobody has it any more."""
        for known in (self.codes, self.living, self.dead_tokens):
            known.clear()


def granted(install: Install, *, app_id: str, bot_user_id: str, scope: str, team: dict[str, Any] | None,
            enterprise: dict[str, Any] | None) -> dict[str, Any]:  # fmt: skip
    """What oauth.v2.access answers."""
    answer: dict[str, Any] = {
        "app_id": app_id,
        "authed_user": {"id": "U0ADA"},
        "scope": scope,
        "token_type": "bot",
        "access_token": install.token,
        "bot_user_id": bot_user_id,
        "team": None if install.org_wide else team,
        "enterprise": enterprise,
        "is_enterprise_install": install.org_wide,
    }
    if install.refresh_token is not None and install.expires_at is not None:
        answer |= {
            "refresh_token": install.refresh_token,
            "expires_in": max(1, round(install.expires_at - time.monotonic())),
        }
    return answer


def _token(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(20)}"
