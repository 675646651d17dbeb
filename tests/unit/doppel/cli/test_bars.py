"""What a progress line says."""

from uuid import UUID

import pytest

from doppel.cli.bars import describe_scrape, describe_training, span
from proto.scrape import ScrapeProgress
from proto.train import TrainProgress

ID = UUID(int=1)


def test_a_scrape_tells_channels_and_messages() -> None:
    body = ScrapeProgress(
        request_id=ID, team_id="T1", stage="reading", step=1200, channels_done=3, channel_count=5, eta_s=61.4
    )
    assert describe_scrape(body) == "reading · 3 of 5 channels · 1,200 messages · about 1:01 left"


def test_a_training_tells_losses_and_when_it_will_be_done() -> None:
    body = TrainProgress(
        request_id=ID,
        run_id=ID,
        team_id="T1",
        user_id="U1",
        stage="training",
        train_loss=3.2,
        validation_loss=3.45,
        tokens_per_s=1234.5,
        eta_s=5,
    )
    assert (
        describe_training(body) == "training · loss 3.200 · held out 3.450 · 1,234 tokens/s · about 0:05 left"
    )


def test_what_is_not_known_is_left_out() -> None:
    queued = TrainProgress(request_id=ID, run_id=ID, team_id="T1", user_id="U1", stage="queued")
    assert describe_training(queued) == "queued"


def test_a_slow_app_is_told_how_long_it_will_really_take() -> None:
    body = ScrapeProgress(
        request_id=ID,
        team_id="T1",
        stage="reading",
        requests=12,
        slow_mode=True,
        eta_s=4 * 86_400 + 14.2 * 3600,
    )
    assert describe_scrape(body) == (
        "reading · 12 requests · Slack gives this app one page of 15 a minute · about 4 d 14 h left"
    )


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0:00"), (3599.4, "59:59"), (3600, "1 h 00 min"), (86_399, "1 d 0 h"), (90_000, "1 d 1 h")],
)
def test_a_span_is_as_exact_as_it_can_be_honest(seconds: float, said: str) -> None:
    assert span(seconds) == said
