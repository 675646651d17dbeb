"""Tokens at rest: MultiFernet, bound to the workspace they belong to."""

import json
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr

from doppel.settings import SettingsError

_NAME: Final = "DOPPEL_ENCRYPTION_KEYS"


class TokenUnreadable(Exception):
    """A stored token can't be decrypted with the keys at hand, or belongs to another workspace."""


class TokenBox:
    """Encrypts with the first key, decrypts with any. Fernet has no associated data, so the team is inside."""

    def __init__(self, keys: SecretStr) -> None:
        parts = [part.strip() for part in keys.get_secret_value().split(",") if part.strip()]
        if not parts:
            raise SettingsError(f"{_NAME} is empty. `doppel keys new` prints one.")
        try:
            fernets = [Fernet(part) for part in parts]
            self._first, self._fernet = fernets[0], MultiFernet(fernets)
        except ValueError as error:
            raise SettingsError(
                f"{_NAME} holds something that is no key. `doppel keys new` prints one."
            ) from error

    def seal(self, team_id: str, token: str) -> bytes:
        """Encrypt a token for one workspace."""
        return self._fernet.encrypt(json.dumps({"team_id": team_id, "token": token}).encode())

    def reseal(self, sealed: bytes) -> bytes | None:
        """The same under the first key; None where it is already. Raises TokenUnreadable."""
        try:
            self._first.decrypt(sealed)
        except InvalidToken:
            try:
                return self._fernet.rotate(sealed)
            except InvalidToken as error:
                raise TokenUnreadable(f"Sealed with a key that {_NAME} lacks.") from error
        return None

    def open(self, team_id: str, sealed: bytes) -> str:
        """Decrypt it. Raises TokenUnreadable, also for another workspace's row."""
        try:
            content = json.loads(self._fernet.decrypt(sealed))
        except InvalidToken as error:
            raise TokenUnreadable(
                f"The token of {team_id} was sealed with a key that {_NAME} lacks."
            ) from error
        if content.get("team_id") != team_id:
            raise TokenUnreadable(f"The token in the row of {team_id} belongs to another workspace.")
        return content["token"]


def new_key() -> str:
    """A fresh key for DOPPEL_ENCRYPTION_KEYS."""
    return Fernet.generate_key().decode()
