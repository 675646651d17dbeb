"""What the voice report says: losses, answers, style, authorship, repetition, recitation; as files for the parent."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from doppel.basemodel.prompt import PromptEncoder
from proto.conversation import Sample, split_parts
from proto.report import Example as Shown
from proto.report import LossPoint, Measures, Memorisation, Repetition
from services.trainer.core.effort import Effort
from services.trainer.core.heaps import others_messages, own_messages
from services.trainer.core.memorisation import Learnt, is_looping, repeated_share, words_of
from services.trainer.core.stylometry import compare
from services.trainer.recipe.authorship import judge_authorship, spread
from services.trainer.recipe.control import Control
from services.trainer.recipe.data import Example, encode_sample
from services.trainer.recipe.evaluate import base_and_adapter_loss
from services.trainer.recipe.generate import Drawing, generate
from services.trainer.recipe.model import PersonaModel
from services.trainer.recipe.probe import choose_probes, recite

BASE_AT_LEAST_S = 2.0


@dataclass(frozen=True)
class Subject:
    """Whose voice, on which model, with which samples."""

    model: PersonaModel
    encoder: PromptEncoder
    system: str
    max_seq_len: int
    micro_batch_tokens: int
    seed: int
    train: Sequence[Sample]
    validation: Sequence[Sample]
    test: Sequence[Sample]


@dataclass(frozen=True)
class Answer:
    """One generated answer and where it belongs."""

    sample: Sample
    text: str


def measure(
    subject: Subject,
    test_examples: Sequence[Example],
    effort: Effort,
    *,
    validation_loss: float,
    curve: tuple[LossPoint, ...],
    control: Control,
) -> Measures:
    """Everything, in the order of its weight. Raises Stop."""
    began = time.monotonic()
    base_loss, loss = base_and_adapter_loss(
        subject.model, test_examples, tokens=subject.micro_batch_tokens, control=control
    )
    until = time.monotonic() + effort.limit_s
    answers = write_answers(subject, effort, effort.answers, until=until, control=control)
    with subject.model.as_base():
        until = max(until, time.monotonic() + BASE_AT_LEAST_S)
        base_answers = write_answers(subject, effort, effort.base_answers, until=until, control=control)

    cut, limit = Cutter(subject.encoder, new_tokens_of(subject, effort)), effort.classifier_messages
    own, held_out = (
        cut.all(spread(own_messages(samples), limit))
        for samples in (subject.train, (*subject.validation, *subject.test))
    )
    others = others_messages((*subject.train, *subject.validation, *subject.test))
    strangers = cut.all(spread([text for name in sorted(others) for text in others[name]], limit))
    written = [part for answer in answers for part in split_parts(answer.text)]
    base_written = [part for answer in base_answers for part in split_parts(answer.text)]
    by_base = {answer.sample.ts: answer.text for answer in base_answers}
    return Measures(
        base_test_loss=base_loss,
        test_loss=loss,
        validation_loss=validation_loss,
        test_samples=len(test_examples),
        answers=len(answers),
        style=compare([*own, *held_out], written, strangers, base_written),
        authorship=judge_authorship(own, held_out, strangers, written, base_written),
        repetition=count_repetition(answers, held_out),
        memorisation=look_for_recitation(subject, effort, answers, control=control),
        curve=curve,
        examples=tuple(
            Shown(real=answer.sample.response, generated=answer.text, base=by_base.get(answer.sample.ts))
            for answer in answers[: effort.examples]
        ),
        measure_s=time.monotonic() - began,
    )


def new_tokens_of(subject: Subject, effort: Effort) -> int:
    """An answer's length; prompt and answer share what the model was built for."""
    return min(effort.new_tokens, subject.max_seq_len // 3)


def write_answers(
    subject: Subject, effort: Effort, count: int, *, until: float, control: Control
) -> list[Answer]:
    """Answers to conversations of the test split, spread over it; fewer where the time is over."""
    new_tokens = new_tokens_of(subject, effort)
    limit = min(effort.prompt_tokens, subject.max_seq_len - new_tokens)
    prompts: list[tuple[Sample, tuple[int, ...]]] = []
    for index in range(min(count, len(subject.test))):
        sample = subject.test[index * len(subject.test) // min(count, len(subject.test))]
        # Encoded as it was learnt, beside the shortest of replies, so that the prompt gets the room.
        short = sample.model_copy(update={"response": "."})
        example = encode_sample(subject.encoder, short, system=subject.system, max_seq_len=limit + 2)
        if example is not None:
            prompts.append((sample, example.ids[: example.prompt_length]))
    answers: list[Answer] = []
    for start in range(0, len(prompts), effort.batch):
        if time.monotonic() > until:
            break
        part = prompts[start : start + effort.batch]
        drawing = Drawing(new_tokens, subject.encoder.end_ids, seed=subject.seed + start, until=until)
        written = generate(subject.model, [ids for _, ids in part], drawing, control=control)
        answers += [
            Answer(sample, text)
            for (sample, _), ids in zip(part, written, strict=True)
            if (text := subject.encoder.decode(ids).strip())
        ]
    return answers


@dataclass(frozen=True)
class Cutter:
    """Real messages are cut where generated ones are, so that lengths can be compared."""

    encoder: PromptEncoder
    tokens: int

    def all(self, texts: Sequence[str]) -> list[str]:
        """The beginnings that hold anything."""
        return [beginning for text in texts if (beginning := self.beginning(text))]

    def beginning(self, text: str) -> str:
        """Of one text."""
        if len(text) <= self.tokens:  # a token is a character at least
            return text.strip()
        return self.encoder.decode(self.encoder.encode_text(text)[: self.tokens]).strip()


def count_repetition(answers: Sequence[Answer], real: Sequence[str]) -> Repetition | None:
    """How often the voice says the same again."""
    if not answers:
        return None
    texts = [answer.text for answer in answers]
    times = Counter(" ".join(words_of(text)) for text in texts)
    return Repetition(
        within=sum(map(repeated_share, texts)) / len(texts),
        own_within=sum(map(repeated_share, real)) / max(1, len(real)),
        identical=sum(count - 1 for count in times.values()) / len(texts),
        looping=sum(is_looping(words_of(text)) for text in texts) / len(texts),
    )


def look_for_recitation(
    subject: Subject, effort: Effort, answers: Sequence[Answer], *, control: Control
) -> Memorisation:
    """Word for word: in what it answered, and in what follows by itself from training conversations."""
    learnt = Learnt.of(sample.response for sample in subject.train)
    probes = choose_probes(
        subject.encoder,
        subject.train,
        system=subject.system,
        max_seq_len=subject.max_seq_len,
        count=effort.probes,
    )
    recited = recite(
        subject.model, subject.encoder, probes, learnt, tokens=subject.micro_batch_tokens, control=control
    )
    return Memorisation(
        overlap_words=max((learnt.longest_run(answer.text) for answer in answers), default=0),
        extracted_words=recited.words,
        probed=len(probes),
        canaries=recited.canaries,
        canaries_out=recited.canaries_out,
    )


def write_files(measures: Measures, folder: Path, *, best_step: int) -> None:
    """``measures.json`` and ``loss.png``."""
    from services.trainer.recipe.plots import plot_losses

    folder.mkdir(parents=True, exist_ok=True)
    plot_losses(
        folder / "loss.png",
        measures.curve,
        base_test_loss=measures.base_test_loss,
        test_loss=measures.test_loss,
        best_step=best_step,
    )
    (folder / "measures.json").write_text(measures.model_dump_json() + "\n", encoding="utf-8")
