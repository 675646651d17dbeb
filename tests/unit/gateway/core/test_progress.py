"""What a progress message in Slack says while a history is read."""

from uuid import UUID

import pytest

from proto.scrape import ScrapeProgress
from proto.train import TrainProgress
from services.gateway.core.progress import render_scrape, render_train

BODY = ScrapeProgress(
    request_id=UUID(int=1),
    team_id="T1",
    user_id="U0ADA",
    stage="reading",
    step=1200,
    channels_done=3,
    channel_count=5,
)


def test_messages_and_channels_are_told() -> None:
    assert (
        render_scrape(BODY)["text"] == "Learning how <@U0ADA> writes: 1,200 messages read, 3 of 5 channels."
    )


@pytest.mark.parametrize(
    ("eta_s", "said"), [(12.0, "12 s"), (600.0, "10 min"), (3 * 3600.0, "3 hours"), (4.6 * 86_400, "5 days")]
)
def test_the_time_that_is_left_is_told_as_people_say_it(eta_s: float, said: str) -> None:
    text = render_scrape(BODY.model_copy(update={"eta_s": eta_s}))["text"]
    assert text.endswith(f", about {said} left.")


def test_a_slow_app_is_said_to_be_slow() -> None:
    text = render_scrape(BODY.model_copy(update={"eta_s": 400_000.0, "slow_mode": True}))["text"]
    assert text.endswith("about 5 days left. Slack lets this app read 15 messages a minute.")


@pytest.mark.parametrize(("place", "said"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (22, "22nd")])
def test_who_waits_for_another_training_knows_their_place(place: int, said: str) -> None:
    waiting = TrainProgress(
        request_id=UUID(int=1),
        run_id=UUID(int=2),
        team_id="T1",
        user_id="U0ADA",
        stage="queued",
        queue_position=place,
    )
    assert render_train(waiting)["text"].endswith(
        f"waiting for another training to end, {said} in the queue."
    )
