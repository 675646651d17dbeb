"""A token is bound to its workspace and survives a change of keys."""

import pytest
from pydantic import SecretStr

from doppel.secrets import TokenBox, TokenUnreadable, new_key
from doppel.settings import SettingsError


def test_a_token_comes_back() -> None:
    box = TokenBox(SecretStr(new_key()))
    assert box.open("T1", box.seal("T1", "xoxb-1")) == "xoxb-1"


def test_another_workspace_s_row_is_refused() -> None:
    box = TokenBox(SecretStr(new_key()))
    with pytest.raises(TokenUnreadable):
        box.open("T2", box.seal("T1", "xoxb-1"))


def test_an_old_key_still_opens() -> None:
    old, new = new_key(), new_key()
    sealed = TokenBox(SecretStr(old)).seal("T1", "xoxb-1")
    assert TokenBox(SecretStr(f"{new},{old}")).open("T1", sealed) == "xoxb-1"
    with pytest.raises(TokenUnreadable):
        TokenBox(SecretStr(new)).open("T1", sealed)


@pytest.mark.parametrize("keys", ["", " , ", "not a key"])
def test_wrong_keys_are_named(keys: str) -> None:
    with pytest.raises(SettingsError, match="DOPPEL_ENCRYPTION_KEYS"):
        TokenBox(SecretStr(keys))
