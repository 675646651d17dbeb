"""What happens to one request, with an engine that is none."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from prometheus_client import CollectorRegistry
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from doppel.basemodel.prompt import PromptEncoder
from doppel.bus import Delivery
from proto.conversation import Turn
from proto.errors import AdapterMissing, Cancelled, DeadlinePassed
from proto.generate import GenerateRequest
from proto.train import RunState, TrainResult
from services.inference.adapters.adapter_store import AdapterStore
from services.inference.adapters.cancels import Cancels
from services.inference.adapters.engine import EngineDied
from services.inference.handlers import Handlers, Metrics
from tests.support.waiting import eventually
from tests.unit.inference.adapters.test_adapter_store import make_store
from tests.unit.inference.making import (
    TEAM,
    USER,
    ActiveTable,
    EchoEngine,
    MemoryBucket,
    MemoryBus,
    QuietDelivery,
)

HI = Turn(role="user", content="hi")


class Bench:
    """The handlers and all they stand on."""

    def __init__(self, folder: Path) -> None:
        self.bucket, self.engine, self.bus = MemoryBucket(), EchoEngine(), MemoryBus()
        self.active, self.cancels = ActiveTable(), Cancels()
        self.deaths = 0
        self.store: AdapterStore = make_store(self.bucket, self.engine, folder, limit_bytes=10_000)
        self.encoder = PromptEncoder(_tokenizer())
        self.handlers = Handlers(
            bus=self.bus,
            engine=self.engine,
            encoder=self.encoder,
            store=self.store,
            active=self.active,
            cancels=self.cancels,
            metrics=Metrics(CollectorRegistry()),
            base_system="Be helpful.",
            default_wait=timedelta(seconds=20),
            on_engine_died=self._died,
        )

    def _died(self) -> None:
        self.deaths += 1

    async def ask(self, **fields: Any) -> None:
        request = GenerateRequest.model_validate(
            {"request_id": uuid4(), "team_id": TEAM, "turns": [HI]} | fields
        )
        await self.handlers.on_generate_request(request, cast("Delivery", QuietDelivery()))

    @property
    def result(self) -> Any:
        (result,) = self.bus.results()
        return result

    @property
    def prompt(self) -> str:
        return self.encoder._tokenizer.decode(self.engine.asked[-1][1], skip_special_tokens=False)


def _tokenizer() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<|im_start|>"), AddedToken("<|im_end|>")])
    return tokenizer


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_without_a_persona_the_base_answers_with_its_system_turn(bench: Bench) -> None:
    await bench.ask()
    assert bench.result.text == "by base"
    assert bench.result.run_id is None
    assert "Be helpful." in bench.prompt


async def test_the_asker_may_bring_a_system_turn_for_the_base(bench: Bench) -> None:
    await bench.ask(turns=[Turn(role="system", content="Be brief."), HI])
    assert "Be helpful." not in bench.prompt


async def test_a_persona_answers_with_its_active_adapter_and_system_turn(bench: Bench) -> None:
    ref = bench.active.rows[USER] = bench.bucket.publish()
    await bench.ask(user_id=USER)
    assert bench.result.text == f"by {ref.run_id}"
    assert bench.result.run_id == ref.run_id
    assert "Be Ada." in bench.prompt


async def test_the_adapter_that_the_gateway_resolved_goes_before_the_active_one(bench: Bench) -> None:
    bench.active.rows[USER] = bench.bucket.publish()
    resolved = bench.bucket.publish()
    await bench.ask(user_id=USER, adapter=resolved)
    assert bench.result.run_id == resolved.run_id


async def test_where_the_resolved_one_is_gone_the_active_one_answers(bench: Bench) -> None:
    gone = bench.bucket.publish()
    bench.bucket.objects.clear()
    ref = bench.active.rows[USER] = bench.bucket.publish()
    await bench.ask(user_id=USER, adapter=gone)
    assert bench.result.run_id == ref.run_id


async def test_an_untrained_persona_is_refused(bench: Bench) -> None:
    with pytest.raises(AdapterMissing):
        await bench.ask(user_id=USER)
    assert bench.bus.results() == []


async def test_while_bucket_and_database_are_away_it_waits_in_place(bench: Bench) -> None:
    bench.active.rows[USER] = bench.bucket.publish()
    bench.active.away, bench.bucket.away = 2, 2
    await bench.ask(user_id=USER)
    assert bench.result.text


async def test_the_wait_ends_with_the_deadline(bench: Bench) -> None:
    bench.active.away = 10**9
    started = time.monotonic()
    with pytest.raises(DeadlinePassed):
        await bench.ask(user_id=USER, deadline_at=datetime.now(UTC) + timedelta(seconds=0.3))
    assert time.monotonic() - started < 5


async def test_a_stop_ends_a_running_generation(bench: Bench) -> None:
    bench.engine.pause_s = 30
    request_id = uuid4()
    async with asyncio.TaskGroup() as group:
        group.create_task(_expects(Cancelled, bench.ask(request_id=request_id)))
        await eventually(lambda: _is(bench.engine.asked), what="the engine is asked")
        bench.cancels.stop(request_id)


async def test_a_stop_that_came_first_is_remembered(bench: Bench) -> None:
    bench.cancels.stop(UUID(int=5))
    with pytest.raises(Cancelled):
        await bench.ask(request_id=UUID(int=5))
    assert bench.engine.asked == []


async def test_a_dead_engine_gives_the_message_back_and_ends_the_process(bench: Bench) -> None:
    bench.engine.dies = True
    with pytest.raises(EngineDied):
        await bench.ask()
    assert bench.deaths == 1
    assert bench.bus.results() == []


async def test_progress_that_cant_be_told_stops_no_answer(bench: Bench) -> None:
    bench.bus.progress_fails = True
    await bench.ask()
    assert bench.result.text


async def test_a_redelivery_publishes_under_the_same_id(bench: Bench) -> None:
    for _ in range(2):
        await bench.ask(request_id=UUID(int=9))
    keys = [key for subject, _, key in bench.bus.published if subject == "generate.result"]
    assert keys == [f"{UUID(int=9)}/done"] * 2


async def test_the_last_token_update_says_so(bench: Bench) -> None:
    await bench.ask(request_id=UUID(int=9))
    subjects = {subject for subject, _ in bench.bus.core}
    assert subjects == {f"generate.token.{UUID(int=9)}"}
    assert [cast("Any", body).done for _, body in bench.bus.core][-1]


async def test_a_published_run_is_fetched_and_a_failed_one_is_not(bench: Bench) -> None:
    ref = bench.bucket.publish()
    fields: dict[str, Any] = {"request_id": uuid4(), "run_id": ref.run_id, "team_id": TEAM, "user_id": USER}
    await bench.handlers.on_train_result(TrainResult(state=RunState.FAILED, adapter=ref, **fields))
    assert ref not in bench.store
    await bench.handlers.on_train_result(TrainResult(state=RunState.PUBLISHED, adapter=ref, **fields))
    assert ref in bench.store


async def test_a_prefetch_that_fails_harms_nobody(bench: Bench) -> None:
    ref = bench.bucket.publish()
    bench.bucket.objects.clear()
    fields: dict[str, Any] = {"request_id": uuid4(), "run_id": ref.run_id, "team_id": TEAM, "user_id": USER}
    await bench.handlers.on_train_result(TrainResult(state=RunState.PUBLISHED, adapter=ref, **fields))


async def _expects(kind: type[Exception], work: Any) -> None:
    with pytest.raises(kind):
        await work


async def _is(value: object) -> bool:
    return bool(value)
