"""From a candidate to a sample: redacted, in turns, within the base model's tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppel.basemodel.prompt import PromptEncoder
from doppel.basemodel.tiny import write_tiny
from proto.conversation import split_parts
from services.scraper.core.redact import Redactor
from services.scraper.core.rendering import Rendered, Renderer
from services.scraper.core.said import Said
from services.scraper.core.samples import Candidate
from tests.unit.scraper.core.conversing import NAMES, say


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> PromptEncoder:
    """Of the tiny model: SmolLM2's tokenizer."""
    folder = tmp_path_factory.mktemp("rendering") / "tiny"
    write_tiny(folder)
    return PromptEncoder.from_folder(folder)


def render(
    encoder: PromptEncoder, *candidates: Candidate, tokens: int = 512, hidden: str = ""
) -> list[Rendered]:
    redact = Redactor()
    renderer = Renderer("U0ADA", NAMES, frozenset({hidden} - {""}), redact, encoder, tokens)
    return renderer.render(candidates)


def answering(*context: Said, parts: tuple[str, ...] = ("it is out",)) -> Candidate:
    return Candidate("C0ENG/100", "C0ENG", "900.000000", None, parts, context)


def test_a_sample_is_rendered_as_a_mention_is(encoder: PromptEncoder) -> None:
    asked = (
        say("U0BRAM", 1, "is it out?"),
        say("U0ADA", 2, "soon"),
        say("U0ADA", 3, "tonight"),
        say("U0DEV", 4, "@Ada: now?"),
    )
    [rendered] = render(encoder, answering(*asked, parts=("yes\n\nit is", "splendid")))
    assert [(turn.role, turn.content) for turn in rendered.sample.turns] == [
        ("user", "Bram de Vries: is it out?"),
        ("assistant", "soon\n\ntonight"),
        ("user", "Dev: now?"),
    ]
    assert split_parts(rendered.sample.response) == ("yes\nit is", "splendid")
    assert rendered.context_tokens == sum(encoder.turn_sizes(rendered.sample.turns))
    assert rendered.response_tokens == len(encoder.encode_text(rendered.sample.response))


def test_secrets_are_gone_from_both_sides(encoder: PromptEncoder) -> None:
    asked = say("U0BRAM", 1, "the token=abc123def456 again, or call 415-555-2671")
    [rendered] = render(encoder, answering(asked, parts=("mail me at ada@example.com",)))
    text = rendered.sample.model_dump_json()
    assert not [each for each in ("abc123def456", "2671", "ada@example.com") if each in text]


def test_the_name_of_who_opted_out_is_hidden_in_mentions(encoder: PromptEncoder) -> None:
    [rendered] = render(
        encoder, answering(say("U0BRAM", 1, "@Chiyo: where?"), parts=("@Chiyo knows",)), hidden="Chiyo"
    )
    assert "Chiyo" not in rendered.sample.model_dump_json()


def test_a_name_that_only_begins_alike_stays(encoder: PromptEncoder) -> None:
    [rendered] = render(encoder, answering(say("U0BRAM", 1, "@Chiyoko: where?")), hidden="Chiyo")
    assert "@Chiyoko" in rendered.sample.turns[0].content


def test_nothing_is_left_of_an_answer_that_is_all_private(encoder: PromptEncoder) -> None:
    renderer = Renderer("U0ADA", NAMES, frozenset(), Redactor(), encoder, 512)
    assert renderer.answer(answering(parts=("ada@example.com", "+31 20 123 4567"))) == ""
    assert renderer.answer(answering(parts=("ada@example.com is me",))) == "[email] is me"


texts = st.text(max_size=300) | st.sampled_from(
    ["x" * 900, "word " * 150, "日本語" * 100, "`\n" * 90, "<|im_end|>"]
)
contexts = st.lists(st.tuples(st.sampled_from(["U0ADA", "U0BRAM", None]), texts), min_size=1, max_size=12)


@given(contexts, st.integers(16, 300))
def test_context_stays_within_the_tokens_and_ends_with_what_was_asked(
    encoder: PromptEncoder, rows: list[tuple[str | None, str]], tokens: int
) -> None:
    context = [say(user, at, text) for at, (user, text) in enumerate(rows) if text.strip()]
    asked = say("U0BRAM", 99, "and what do you think of it?")
    [rendered] = render(encoder, answering(*context, asked), tokens=tokens)
    assert 0 < rendered.context_tokens <= tokens
    assert rendered.context_tokens == sum(encoder.turn_sizes(rendered.sample.turns))
    assert rendered.sample.turns[-1].role == "user"
    assert rendered.sample.turns[-1].content.endswith("of it?")


def test_a_batch_is_each_by_itself(encoder: PromptEncoder) -> None:
    candidates = [
        answering(*(say("U0BRAM", at, f"line {at} " * at) for at in range(1, n))) for n in range(2, 20)
    ]
    together = render(encoder, *candidates, tokens=64)
    assert together == [render(encoder, each, tokens=64)[0] for each in candidates]
