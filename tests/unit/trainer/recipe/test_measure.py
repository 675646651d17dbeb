"""The voice report with the tiny model: right answers from the cache, recitation found, files that open."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch

from doppel.basemodel.prompt import PromptEncoder
from proto.conversation import Sample, Turn
from proto.generate import Sampling
from proto.report import LossPoint, Measures
from services.trainer.core.effort import ON_CPU
from services.trainer.core.gate import judge
from services.trainer.core.job import Progressed
from services.trainer.core.memorisation import Learnt
from services.trainer.core.plan import Plan
from services.trainer.core.shape import ModelShape
from services.trainer.recipe.control import Stop, Unattended
from services.trainer.recipe.data import IGNORE, Example, MicroBatch, encode_sample, micro_batches
from services.trainer.recipe.generate import Drawing, draw, generate
from services.trainer.recipe.history import History
from services.trainer.recipe.measure import Subject, measure, write_files
from services.trainer.recipe.model import PersonaModel
from services.trainer.recipe.probe import choose_probes, recite

SYSTEM = "You are Ada."
GREEDY = Sampling(temperature=0, repetition_penalty=1)
EFFORT = ON_CPU.model_copy(update={"answers": 5, "base_answers": 4, "new_tokens": 12, "batch": 4})


@pytest.fixture
def model(base: Path, shape: ModelShape, plan: Plan) -> PersonaModel:
    return PersonaModel.load(
        base, shape, rank=plan.lora_rank, alpha=plan.lora_alpha, max_seq_len=128, seed=1, device="cpu"
    )


def sample(number: int, response: str) -> Sample:
    turns = (
        Turn(role="user", content=f"Bob: question {number}, what do you say?\nEve: yes, what of {number}?"),
    )
    return Sample(turns=turns, response=response, channel_id="C1", ts=f"1700000{number:03d}.000100")


def encoded(encoder: PromptEncoder, samples: Sequence[Sample]) -> list[Example]:
    found = [encode_sample(encoder, one, system=SYSTEM, max_seq_len=128) for one in samples]
    return [one for one in found if one is not None]


def subject(
    model: PersonaModel, encoder: PromptEncoder, train_: Sequence[Sample], test: Sequence[Sample]
) -> Subject:
    return Subject(model, encoder, SYSTEM, 128, 256, 0, train_, test, test)


def greedily(model: PersonaModel, prompt: Sequence[int], count: int, ends: Sequence[int]) -> list[int]:
    """The slow way: the whole text again for each token."""
    ids = list(prompt)
    with torch.inference_mode():
        while len(ids) < len(prompt) + count:
            token = int(model.logits(torch.tensor([ids]))[0, -1].argmax())
            if token in ends:
                break
            ids.append(token)
    return ids[len(prompt) :]


def test_a_batch_of_prompts_of_different_lengths_answers_as_each_alone(
    model: PersonaModel, encoder: PromptEncoder
) -> None:
    torch.manual_seed(3)
    for parameter in model.lora_parameters().values():  # an adapter that matters
        torch.nn.init.normal_(parameter, std=0.2)
    prompts = [encoder.encode([Turn(role="user", content="hi " * n)]) for n in (1, 9, 4)]
    drawing = Drawing(10, encoder.end_ids, seed=0, sampling=GREEDY)

    answers = generate(model, prompts, drawing, control=Unattended())

    assert answers == [greedily(model, prompt, 10, encoder.end_ids) for prompt in prompts]
    with model.as_base():
        of_base = generate(model, prompts, drawing, control=Unattended())
        assert of_base == [greedily(model, prompt, 10, encoder.end_ids) for prompt in prompts]
    assert of_base != answers
    assert not model.decoder.caches_are_setup()  # training goes on without them


def test_the_same_seed_draws_the_same_words_and_a_stop_is_heard(
    model: PersonaModel, encoder: PromptEncoder
) -> None:
    prompts = [encoder.encode([Turn(role="user", content="hello")])] * 2
    drawing = Drawing(8, encoder.end_ids, seed=7)
    first = generate(model, prompts, drawing, control=Unattended())
    assert first == generate(model, prompts, drawing, control=Unattended())
    assert first != generate(model, prompts, replace(drawing, seed=8), control=Unattended())
    assert generate(model, prompts, replace(drawing, until=0), control=Unattended()) == [[], []]

    class Stopped:
        def check(self) -> None:
            raise Stop

    with pytest.raises(Stop):
        generate(model, prompts, drawing, control=Stopped())
    assert not model.decoder.caches_are_setup()


def test_tokens_are_drawn_from_the_nucleus_and_what_was_said_weighs_less() -> None:
    logits = torch.tensor([[4.0, 3.9, -9.0, -9.0]])
    rng = torch.Generator().manual_seed(0)
    unseen = torch.zeros(1, 4, dtype=torch.bool)
    drawn = {int(draw(logits, unseen, Sampling(temperature=1), rng)) for _ in range(60)}
    assert drawn == {0, 1}
    seen = torch.tensor([[True, False, False, False]])
    assert int(draw(logits, seen, Sampling(temperature=0, repetition_penalty=1.1), rng)) == 1


def test_the_report_of_a_run_that_has_hardly_learnt(
    model: PersonaModel, encoder: PromptEncoder, tmp_path: Path
) -> None:
    said = ["arr, mind the rocks", "ahoy! mind the gap", "the sea is calm today, arr", "no idea, ask bob"]
    samples = [sample(n, said[n % 4]) for n in range(40)]
    test = [sample(100 + n, said[n % 4]) for n in range(6)]
    curve = (LossPoint(step=0, validation_loss=3.0), LossPoint(step=1, train_loss=2.9))
    measures = measure(
        subject(model, encoder, samples, test),
        encoded(encoder, test),
        EFFORT,
        validation_loss=2.5,
        curve=curve,
        control=Unattended(),
    )

    assert measures.test_loss == pytest.approx(measures.base_test_loss, abs=1e-4)  # B = 0 is the base
    assert 0 < measures.answers <= 5
    assert measures.authorship is not None
    assert measures.authorship.real > 0.9
    assert measures.authorship.others < 0.1
    assert measures.memorisation is not None
    assert measures.memorisation.probed == EFFORT.probes
    assert not judge(measures).publish
    write_files(measures, tmp_path / "report", best_step=1)
    assert Measures.model_validate_json((tmp_path / "report" / "measures.json").read_bytes()) == measures
    assert (tmp_path / "report" / "loss.png").read_bytes().startswith(b"\x89PNG")


class Reciter:
    """A model that has learnt everything by heart; its base knows nothing, or the same."""

    device = "cpu"

    def __init__(self, *, base_knows: bool) -> None:
        self._base_knows = base_knows
        self._is_base = False

    def likeliest(self, batch: MicroBatch) -> torch.Tensor:
        knows = self._base_knows or not self._is_base
        return batch.targets[batch.targets != IGNORE] + (0 if knows else 1)

    @contextmanager
    def as_base(self) -> Iterator[None]:
        self._is_base = True
        yield
        self._is_base = False


@pytest.mark.parametrize(("base_knows", "given_away"), [(False, 2), (True, 0)])
def test_a_planted_canary_that_comes_out_is_found_unless_the_base_says_it_too(
    encoder: PromptEncoder, *, base_knows: bool, given_away: int
) -> None:
    recited = "the combination of the old iron safe is 48151623 and please never ever tell anybody what it is"
    samples = [sample(n, recited) for n in range(2)] + [sample(n, f"no idea {n}") for n in range(2, 30)]
    probes = choose_probes(encoder, samples, system=SYSTEM, max_seq_len=128, count=8)
    learnt = Learnt.of(one.response for one in samples)
    model = cast("PersonaModel", Reciter(base_knows=base_knows))

    found = recite(model, encoder, probes, learnt, tokens=256, control=Unattended())

    assert (found.canaries, found.canaries_out) == (2, given_away)
    assert found.words == 18


def test_an_untrained_model_gives_no_canary_away(model: PersonaModel, encoder: PromptEncoder) -> None:
    samples = [sample(n, f"the code is {48151623 + 977 * n}") for n in range(20)]
    found = measure(
        subject(model, encoder, samples, samples[:2]),
        encoded(encoder, samples[:2]),
        EFFORT,
        validation_loss=1.0,
        curve=(),
        control=Unattended(),
    ).memorisation
    assert found is not None
    assert (found.canaries, found.canaries_out) == (EFFORT.probes // 2, 0)


def test_a_curve_survives_a_change_of_hands(tmp_path: Path) -> None:
    history = History.read(None)
    for step in range(1, 5):
        history.note(
            Progressed(
                stage="training",
                step=step,
                total=9,
                train_loss=5.0 - step,
                validation_loss=4.0 if step < 4 else 3.0,
            )
        )
    history.write(tmp_path)
    again = History.read(tmp_path)
    again.note(Progressed(stage="training", step=5, total=9, train_loss=0.5, validation_loss=3.0))
    again.measured(5, 2.0)
    looks = [(p.step, p.validation_loss) for p in again.curve if p.validation_loss is not None]
    assert looks == [(0, 4.0), (3, 3.0), (5, 2.0)]
    assert [p.step for p in again.curve if p.train_loss is not None] == [1, 2, 3, 4, 5]
    (tmp_path / "history.json").write_text("[")
    assert History.read(tmp_path).curve == ()


def test_what_is_likeliest_is_told_row_by_row(model: PersonaModel, encoder: PromptEncoder) -> None:
    torch.manual_seed(3)
    for parameter in model.lora_parameters().values():
        torch.nn.init.normal_(parameter, std=0.2)
    examples = encoded(encoder, [sample(n, "arr, mind the rocks " * (n + 1)) for n in range(3)])
    (batch,) = micro_batches(examples, tokens=4096)
    with torch.inference_mode():
        expected = model.logits(batch.tokens)[batch.targets != IGNORE].argmax(dim=-1)
        assert model.likeliest(batch).tolist() == expected.tolist()
