"""The story: ask, consent, read, learn, answer. Everything happens through Slack's door, as in a real workspace."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from doppel.bus import Bus
from doppel.cli.command_generate import ask, question
from doppel.cli.demo.box import ASK_EVERY_S, Box, Message, allow_button
from doppel.cli.demo.steps import Steps
from doppel.cli.facts import FactReader
from doppel.cli.terminal import Failure
from proto.body import Body, ErrorInfo
from proto.scrape import ScrapeResult
from proto.train import RunState, TrainResult

PERSONA: Final = ("ada", "U0ADA", "Ada")
TEAM: Final = "T0DOPPEL"
ASKER: Final = "bram"
CHANNEL: Final = "general"
QUESTION: Final = "what is left to do before the release?"
AGAIN: Final = "and who looks after it?"
CONSENT_S: Final = 60.0
LEARN_S: Final = 1800.0
ANSWER_S: Final = 240.0

R = TypeVar("R", bound=Body)


@dataclass
class Outcome:
    """What the story came to."""

    base_answer: str | None = None
    persona_answer: str | None = None
    persona_name: str | None = None
    loss_before: float | None = None
    loss_after: float | None = None

    def facts(self) -> dict[str, Any]:
        """For the JSON line."""
        return {name: value for name, value in vars(self).items() if name != "persona_name"}


@dataclass
class Story:
    """Plays it once."""

    box: Box
    bus: Bus
    steps: Steps
    engine_loaded: Callable[[], Awaitable[None]]
    outcome: Outcome = field(default_factory=Outcome)

    async def play(self) -> None:
        """All of it. Raises Failure at the first step that fails."""
        handle, user_id, name = PERSONA
        reader = await FactReader.open(self.bus.jetstream, "FACTS", ">")
        with self.steps.step(f"/doppel train @{handle}, and {name} presses Allow"):
            await self.box.command(ASKER, CHANNEL, f"train @{handle}")
            await self._consent(handle, FactReader(reader.jetstream, "FACTS", ">", reader.next_sequence))
        with self.steps.step("reading the public channels") as line:
            await _result(reader, ScrapeResult, user_id, line.show)
        with self.steps.step(f"learning how {name} writes") as line:
            trained = await _result(reader, TrainResult, user_id, line.show)
            self.outcome.loss_before, self.outcome.loss_after = trained.base_test_loss, trained.test_loss
            if trained.state is not RunState.PUBLISHED:
                raise Failure(
                    f"The adapter was not published: the run is {trained.state.value}.", code="rejected"
                )
        with self.steps.step("the engine is loaded"):
            await self.engine_loaded()
        with self.steps.step("the plain base model answers"):
            plain = question(TEAM, None, QUESTION, timeout_s=ANSWER_S, temperature=0.7)
            self.outcome.base_answer = (await ask(self.bus, plain, timeout_s=ANSWER_S)).text
        with self.steps.step(f"@doppel in #{CHANNEL}: {name}'s persona answers"):
            asked = await self.box.say(ASKER, CHANNEL, f"@doppel {QUESTION}")
            message = await self._persona_answer(asked["ts"], asked["ts"])
            self.outcome.persona_answer, self.outcome.persona_name = message["text"], message.get("username")
        with self.steps.step("@doppel in the thread: and again"):
            again = await self.box.say(ASKER, CHANNEL, f"@doppel {AGAIN}", thread_ts=asked["ts"])
            await self._persona_answer(asked["ts"], again["ts"])

    async def _consent(self, handle: str, facts: FactReader) -> None:
        """Press *Allow*. A yes of an earlier demo in the same state folder still counts: then work begins at once."""
        try:
            async with asyncio.timeout(CONSENT_S):
                while True:
                    questions = [m for m in await self.box.by_bot(f"@{handle}") if allow_button(m)]
                    if questions:
                        action_id = allow_button(questions[-1])
                        assert action_id is not None
                        return await self.box.press(handle, f"@{handle}", questions[-1]["ts"], action_id)
                    if await facts.poll() is not None:
                        return None
                    await asyncio.sleep(ASK_EVERY_S)
        except TimeoutError:
            raise Failure("Nobody was asked for consent within a minute.", code="timeout") from None

    async def _persona_answer(self, thread_ts: str, after: str) -> Message:
        message = await self.box.answer(CHANNEL, thread_ts, after=after, timeout_s=ANSWER_S)
        if PERSONA[2] not in (message.get("username") or ""):
            raise Failure(
                "The answer did not come under the persona's name.", code="no_persona", said=message["text"]
            )
        return message


async def _result(reader: FactReader, kind: type[R], user_id: str, show: Callable[[Body], None]) -> R:
    """The next outcome of that kind about the persona. Raises Failure with its sentence where it is an error."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LEARN_S
    while loop.time() < deadline:
        body = await reader.poll()
        if body is None:
            await asyncio.sleep(ASK_EVERY_S)
        elif getattr(body, "user_id", None) == user_id:
            if isinstance(body, kind):
                error: ErrorInfo | None = getattr(body, "error", None)
                if error is not None:
                    raise Failure(error.message, code=error.code)
                return body
            show(body)
    raise Failure(f"No outcome within {LEARN_S:.0f} s.", code="timeout")
