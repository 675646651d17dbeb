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


def test_what_is_sealed_anew_needs_the_first_key_only() -> None:
    old, new = new_key(), new_key()
    sealed = TokenBox(SecretStr(old)).seal("T1", "xoxb-1")
    both, alone = TokenBox(SecretStr(f"{new},{old}")), TokenBox(SecretStr(new))
    fresh = both.reseal(sealed)
    assert fresh is not None
    assert alone.open("T1", fresh) == "xoxb-1"
    assert both.reseal(fresh) is None
    with pytest.raises(TokenUnreadable):
        alone.reseal(sealed)


@pytest.mark.parametrize("keys", ["", " , ", "not a key"])
def test_wrong_keys_are_named(keys: str) -> None:
    with pytest.raises(SettingsError, match="DOPPEL_ENCRYPTION_KEYS"):
        TokenBox(SecretStr(keys))
