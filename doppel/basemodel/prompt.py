"""Turns to token ids: the one place. Scraper, trainer and inference must agree on every id, so all three call this.

What people wrote is encoded with special tokens off: a message that contains ``<|im_end|>`` stays text and can't end
its own turn. Role headers are put around it as ids, in the chat template of the base model's family.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Final, Protocol

from tokenizers import Tokenizer

from doppel.basemodel.errors import BaseModelUnusable
from proto.conversation import Turn
from proto.errors import RequestInvalid

DEFAULT_SYSTEM_TEMPLATE: Final = (
    "You are {name}, who works here. Continue the workspace conversation below in your own voice."
)
DEFAULT_BASE_SYSTEM: Final = "You are a helpful colleague in this workspace. Answer the last message briefly."
NAME_LIMIT: Final = 80
TOKENIZER_FILE: Final = "tokenizer.json"

Encode = Callable[[str], list[int]]


def render_system(name: str, template: str = DEFAULT_SYSTEM_TEMPLATE) -> str:
    """The system turn of a persona. Only the literal ``{name}`` is replaced: braces in a name or template are text."""
    return template.replace("{name}", " ".join(name.split())[:NAME_LIMIT] or "someone")


class ChatForm(Protocol):
    """How one model family writes a conversation down."""

    @property
    def opening(self) -> list[int]:
        """Ids before the first turn."""
        ...

    @property
    def end_ids(self) -> tuple[int, ...]:
        """Ids that end a reply; the first is the one a reply is trained to end with."""
        ...

    def turn(self, role: str, content: str) -> list[int]:
        """One whole turn."""
        ...

    def text(self, role: str, content: str) -> str:
        """What of a turn is encoded as text."""
        ...

    def frame_size(self, role: str) -> int:
        """How many ids a turn has beside its text."""
        ...

    def header(self, role: str) -> list[int]:
        """The beginning of a turn that is still to be written."""
        ...


@dataclass(frozen=True)
class ChatML:
    """SmolLM2, Qwen and others: ``<|im_start|>role\\ncontent<|im_end|>\\n``."""

    encode: Encode
    start: int
    end: int
    also_ends: tuple[int, ...] = ()

    @property
    def opening(self) -> list[int]:
        """Nothing comes first."""
        return []

    @property
    def end_ids(self) -> tuple[int, ...]:
        """``<|im_end|>``, and the end of a text."""
        return (self.end, *self.also_ends)

    def turn(self, role: str, content: str) -> list[int]:
        """Role and content are encoded as one, as in the template: apart, leading newlines would merge differently."""
        return [self.start, *self.encode(self.text(role, content)), self.end, *self.newline]

    @cached_property
    def newline(self) -> list[int]:
        """What stands between two turns."""
        return self.encode("\n")

    def text(self, role: str, content: str) -> str:
        """The role's name is part of it."""
        return f"{role}\n{content}"

    def frame_size(self, role: str) -> int:
        """Start, end, newline."""
        return 2 + len(self.newline)

    def header(self, role: str) -> list[int]:
        """What a reply is written after."""
        return [self.start, *self.encode(f"{role}\n")]


@dataclass(frozen=True)
class Llama3:
    """Llama 3 and later: ``<|start_header_id|>role<|end_header_id|>\\n\\ncontent<|eot_id|>``."""

    encode: Encode
    begin: int
    header_start: int
    header_end: int
    end: int
    also_ends: tuple[int, ...] = ()

    @property
    def opening(self) -> list[int]:
        """The text begins once."""
        return [self.begin]

    @property
    def end_ids(self) -> tuple[int, ...]:
        """``<|eot_id|>``, and the end of a text or message."""
        return (self.end, *self.also_ends)

    def turn(self, role: str, content: str) -> list[int]:
        """The template strips what people wrote."""
        return [*self._role(role), *self.encode(self.text(role, content)), self.end]

    def text(self, role: str, content: str) -> str:
        """Two newlines, and what was written."""
        return f"\n\n{content.strip()}"

    def frame_size(self, role: str) -> int:
        """Header and end."""
        return len(self._role(role)) + 1

    def header(self, role: str) -> list[int]:
        """What a reply is written after."""
        return [*self._role(role), *self.encode("\n\n")]

    def _role(self, role: str) -> list[int]:
        return [self.header_start, *self.encode(role), self.header_end]


class PromptEncoder:
    """Turns a conversation into the ids of one base model. Stateless after construction, usable from any thread."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.encode_special_tokens = True  # special tokens within a text are split into plain pieces
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._form = chat_form(tokenizer, self.encode_text)

    @classmethod
    def from_folder(cls, folder: Path) -> "PromptEncoder":
        """Read the tokenizer of a base model's folder. Raises BaseModelUnusable."""
        path = folder / TOKENIZER_FILE
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:
            raise BaseModelUnusable(
                f"The base model's {TOKENIZER_FILE} can't be read ({folder.name}). Prepare the base model again."
            ) from error
        return cls(tokenizer)

    @property
    def end_ids(self) -> tuple[int, ...]:
        """Ids at which a reply ends."""
        return self._form.end_ids

    def encode_text(self, text: str) -> list[int]:
        """Plain text, never a control token. A lone surrogate, which no UTF-8 holds, becomes a question mark."""
        return self._tokenizer.encode(text.encode("utf-8", "replace").decode(), add_special_tokens=False).ids

    def text_sizes(self, texts: Sequence[str]) -> list[int]:
        """Lengths in tokens of many plain texts at once, on all cores."""
        plain = [text.encode("utf-8", "replace").decode() for text in texts]
        return [len(found) for found in self._tokenizer.encode_batch_fast(plain, add_special_tokens=False)]

    def turn_sizes(self, turns: Sequence[Turn]) -> list[int]:
        """Lengths in tokens of many whole turns at once."""
        sizes = self.text_sizes([self._form.text(turn.role, turn.content) for turn in turns])
        frames = {role: self._form.frame_size(role) for role in {turn.role for turn in turns}}
        return [size + frames[turn.role] for size, turn in zip(sizes, turns, strict=True)]

    def encode(self, turns: Sequence[Turn]) -> list[int]:
        """A whole prompt: the turns, then the header of the reply that is asked for."""
        return self._joined(self._pieces(turns))

    def encode_reply(self, text: str) -> list[int]:
        """What follows a prompt in training: the reply and its end. Outer whitespace would merge into the header."""
        return [*self.encode_text(text.strip()), self._form.end_ids[0]]

    def count(self, turns: Sequence[Turn]) -> int:
        """Length of the prompt in tokens."""
        return len(self.encode(turns))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of a reply, without its end."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)

    def trim(self, turns: Sequence[Turn], max_tokens: int) -> tuple[Turn, ...]:
        """Drop whole messages from the oldest until the prompt fits; leading system turns and the last turn stay.

        Raises RequestInvalid when those alone are too long.
        """
        first, last = self._dropped(turns, self._pieces(turns), max_tokens)
        return (*turns[:first], *turns[last:])

    def encode_fitting(self, turns: Sequence[Turn], max_tokens: int) -> list[int]:
        """`encode` of what `trim` leaves, every turn encoded once: encoding is most of what a question costs here."""
        pieces = self._pieces(turns)
        first, last = self._dropped(turns, pieces, max_tokens)
        return self._joined([*pieces[:first], *pieces[last:]])

    def _pieces(self, turns: Sequence[Turn]) -> list[list[int]]:
        return [self._form.turn(turn.role, turn.content) for turn in turns]

    def _joined(self, pieces: Sequence[list[int]]) -> list[int]:
        return [*self._form.opening, *chain.from_iterable(pieces), *self._form.header("assistant")]

    def _dropped(
        self, turns: Sequence[Turn], pieces: Sequence[list[int]], max_tokens: int
    ) -> tuple[int, int]:
        """Between which indices the turns leave that do not fit."""
        kept_first = next((i for i, turn in enumerate(turns) if turn.role != "system"), len(turns))
        total = len(self._joined(pieces))
        first = kept_first
        while total > max_tokens and first < len(turns) - 1:
            total -= len(pieces[first])
            first += 1
        if total > max_tokens:
            raise RequestInvalid(
                f"That message is too long for this model: {total} tokens, {max_tokens} fit. Please shorten it."
            )
        return kept_first, first


def chat_form(tokenizer: Tokenizer, encode: Encode) -> ChatForm:
    """Choose the family by the control tokens that the tokenizer knows. Raises BaseModelUnusable."""

    def ids(*names: str) -> list[int]:
        found = [tokenizer.token_to_id(name) for name in names]
        return [i for i in found if i is not None]

    if len(chatml := ids("<|im_start|>", "<|im_end|>")) == 2:
        return ChatML(encode, *chatml, also_ends=tuple(ids("<|endoftext|>")))
    llama3 = ids("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
    if len(llama3) == 4:
        return Llama3(encode, *llama3, also_ends=tuple(ids("<|end_of_text|>", "<|eom_id|>")))
    raise BaseModelUnusable(
        "The base model's chat format is not known here. Choose an instruct model of the ChatML or Llama-3 kind."
    )
