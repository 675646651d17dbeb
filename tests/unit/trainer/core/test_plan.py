import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import DatasetTooSmall, PlanInvalid
from proto.scrape import SampleCounts
from proto.train import RecipeOverrides
from services.trainer.core.plan import Plan, plan_run
from services.trainer.core.shape import ModelShape

SMALL = ModelShape(
    vocab_size=49152,
    hidden_size=576,
    layer_count=30,
    head_count=9,
    kv_head_count=3,
    intermediate_size=1536,
    max_positions=8192,
    norm_eps=1e-5,
    rope_base=100_000,
    tied=True,
)
LARGE = ModelShape(
    vocab_size=128256,
    hidden_size=4096,
    layer_count=32,
    head_count=32,
    kv_head_count=8,
    intermediate_size=14336,
    max_positions=131072,
    norm_eps=1e-5,
    rope_base=500_000,
    rope_scale=8,
    tied=False,
)


def plan(train: int, *, shape: ModelShape = SMALL, held_out: int = 20, **knobs: object) -> Plan:
    return plan_run(
        SampleCounts(train=train, validation=held_out, test=held_out),
        shape,
        RecipeOverrides.model_validate(knobs),
        user_id="U0ADA",
        device="cuda" if shape is LARGE else "cpu",
        max_lora_rank=32,
        min_samples=16,
    )


def test_a_large_model_takes_the_known_good_numbers() -> None:
    chosen = plan(20_000, shape=LARGE)
    assert (chosen.lora_rank, chosen.lora_alpha, chosen.learning_rate) == (32, 64, 3e-4)
    assert (chosen.batch_size, chosen.epochs, chosen.step_count) == (128, 2, 2 * 157)


def test_a_small_dataset_gets_smaller_batches_rather_than_three_steps() -> None:
    assert plan(150, shape=LARGE).batch_size == 8
    assert plan(150, shape=LARGE).step_count == 38


def test_the_large_presets_epochs_have_two_hundred_steps_at_most() -> None:
    assert plan(60_000, shape=LARGE).step_count == 400


@pytest.mark.parametrize(
    ("train", "batch_size", "times_shown"),
    [(150, 8, 2.0), (300, 8, 2.0), (1000, 16, 1.5), (5000, 32, 1.1), (20_000, 32, 1.025)],
)
def test_small_datasets_are_shown_twice_and_large_ones_are_used_whole(
    train: int, batch_size: int, times_shown: float
) -> None:
    chosen = plan(train)
    assert chosen.batch_size == batch_size
    assert chosen.step_count * batch_size / train == pytest.approx(times_shown, rel=0.03)


def test_every_knob_of_the_request_reaches_the_plan() -> None:
    said: dict[str, object] = {
        "lora_rank": 8,
        "lora_alpha": 4.0,
        "learning_rate": 1e-4,
        "batch_size": 4,
        "max_seq_len": 100,
        "weight_decay": 0.0,
        "gradient_norm": 0.5,
        "validation_steps": 7,
        "patience": 9,
        "validation_samples": 11,
        "test_samples": 13,
        "micro_batch_tokens": 500,
        "precision": "fp32",
        "compile": "off",
        "recompute": "on",
        "seed": 5,
    }
    knobs = set(RecipeOverrides.model_fields) - {"epochs", "max_steps", "warmup_ratio"}
    assert knobs == set(said)
    chosen = plan(300, **said)
    assert {name: getattr(chosen, name) for name in said} == said
    assert (plan(300, epochs=3).step_count, plan(300, max_steps=9).step_count) == (3 * 38, 9)
    assert plan(300, max_steps=10, warmup_ratio=0.5).warmup_steps == 5


@pytest.mark.parametrize(
    ("knob", "hint"),
    [("learning_rat", "learning_rate"), ("turbo", "there are lora_rank"), ("<@U1>\nx", "there are")],
)
def test_an_unknown_knob_is_refused_by_its_name_with_what_there_is(knob: str, hint: str) -> None:
    with pytest.raises(PlanInvalid, match=hint) as refused:
        plan(300, **{knob: 1})
    assert "<@" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("train", "held_out"), [(0, 20), (1, 20), (15, 20), (100, 0)])
def test_too_few_samples_are_refused_with_their_number(train: int, held_out: int) -> None:
    with pytest.raises(DatasetTooSmall, match=f" {train + 2 * held_out} usable"):
        plan(train, held_out=held_out)


def test_a_rank_that_is_not_served_is_refused() -> None:
    with pytest.raises(PlanInvalid, match="at most 32"):
        plan(300, lora_rank=64)


def test_a_length_that_the_base_cannot_read_is_refused() -> None:
    with pytest.raises(PlanInvalid, match="at most 8192"):
        plan(300, max_seq_len=16_384)


def test_what_the_request_says_wins() -> None:
    chosen = plan(300, lora_rank=8, learning_rate=5e-4, max_steps=7, batch_size=4, max_seq_len=128, seed=9)
    assert (chosen.lora_rank, chosen.lora_alpha, chosen.learning_rate) == (8, 16, 5e-4)
    assert (chosen.step_count, chosen.batch_size, chosen.max_seq_len, chosen.seed) == (7, 4, 128, 9)


@given(
    train=st.integers(16, 100_000),
    batch_size=st.none() | st.integers(1, 4096),
    epochs=st.none() | st.integers(1, 100),
    max_steps=st.none() | st.integers(1, 100_000),
    warmup_ratio=st.none() | st.floats(0, 0.5),
    shape=st.sampled_from([SMALL, LARGE]),
)
def test_every_plan_can_be_carried_out(
    train: int,
    batch_size: int | None,
    epochs: int | None,
    max_steps: int | None,
    warmup_ratio: float | None,
    shape: ModelShape,
) -> None:
    chosen = plan(
        train,
        shape=shape,
        batch_size=batch_size,
        epochs=epochs,
        max_steps=max_steps,
        warmup_ratio=warmup_ratio,
    )
    assert 1 <= chosen.batch_size <= train
    assert 0 <= chosen.warmup_steps < chosen.step_count
    assert max_steps is None or chosen.step_count <= max_steps
    assert chosen.step_count <= chosen.epochs * -(-train // chosen.batch_size)
