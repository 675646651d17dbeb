"""The secrets of a deployment: made once, each where its container looks, the operator's before the playground's."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from doppel.bucket_access import RIGHTS, minio_policy
from doppel.cli.command_secrets import GivenSecrets, files, secrets
from doppel.local.home import Secrets

PLAYGROUND = "http://playground:8090"


def written(folder: Path, *arguments: str) -> dict[str, str]:
    result = CliRunner().invoke(secrets, ["write", str(folder), *arguments])
    assert result.exit_code == 0, result.output
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    assert written(tmp_path) == written(tmp_path)


def test_without_a_slack_the_playground_is_it(tmp_path: Path) -> None:
    alone = written(tmp_path)
    assert alone["gateway/slack_bot_token"] == alone["gateway/slack_api_url"] == ""
    played = written(tmp_path, "--playground", PLAYGROUND)
    assert played["gateway/slack_api_url"] == played["scraper/slack_api_url"] == f"{PLAYGROUND}/api/"
    assert played["gateway/slack_bot_token"] == played["playground/bot_token"]
    assert played["trainer/train_on_slack_api"]


def test_a_real_slack_wins_and_its_history_needs_the_operator_s_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOPPEL_SLACK_BOT_TOKEN", "xoxb-real")
    found = written(tmp_path, "--playground", PLAYGROUND)
    assert found["gateway/slack_bot_token"] == "xoxb-real"
    assert found["gateway/slack_api_url"] == found["trainer/train_on_slack_api"] == ""


def test_given_keys_are_taken() -> None:
    found = files(Secrets(), GivenSecrets(encryption_keys=SecretStr("mine")), "doppel")
    assert found["gateway/encryption_keys"] == found["scraper/encryption_keys"] == "mine"


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(secrets, ["write", str(tmp_path / "file" / "below")])
    assert result.exit_code != 0
    assert "Traceback" not in result.output


@pytest.mark.parametrize("user", RIGHTS)
def test_a_policy_names_one_bucket_and_allows_no_administration(user: str) -> None:
    statements = minio_policy(user, "bucket")["Statement"]
    assert all(each["Effect"] == "Allow" for each in statements)
    assert all(arn.startswith("arn:aws:s3:::bucket") for each in statements for arn in each["Resource"])
    actions = {action for each in statements for action in each["Action"]}
    assert not {"s3:*", "s3:DeleteBucket", "s3:PutBucketPolicy", "admin:*"} & actions
    assert ("s3:PutObject" in actions) == bool(RIGHTS[user].write)
