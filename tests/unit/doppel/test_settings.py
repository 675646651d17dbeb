"""A start-up error names the variable; a secret may come from a file and is never printed."""

from pathlib import Path

import pytest

from doppel.settings import SettingsError, SharedSettings


def test_a_wrong_value_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOPPEL_MAX_LORA_RANK", "17")
    with pytest.raises(SettingsError, match="DOPPEL_MAX_LORA_RANK"):
        SharedSettings.read()


def test_a_secret_comes_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("open sesame\n")
    monkeypatch.setenv("DOPPEL_NATS_PASSWORD_FILE", str(tmp_path / "password"))
    settings = SharedSettings.read()
    assert settings.nats_password is not None
    assert settings.nats_password.get_secret_value() == "open sesame"
    assert "sesame" not in repr(settings)


def test_a_missing_file_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOPPEL_S3_SECRET_KEY_FILE", "/nowhere/at/all")
    with pytest.raises(SettingsError, match="/nowhere/at/all"):
        SharedSettings.read()


def test_an_empty_variable_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOPPEL_LOG_LEVEL", "")
    assert SharedSettings.read().log_level == "INFO"
