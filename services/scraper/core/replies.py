"""Which earlier message one in a channel answers, where no thread says so.

What tells, strongest first: whom it names at its beginning, whose words it quotes, who asked its author something,
its author's own last words, a question that just went before, and a channel in which one conversation goes on.
`bench/conversations.py` measures how well these find what people annotated.
"""

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from proto.conversation import Person
from services.scraper.core.said import Said

MEMORY_S: Final = 30 * 60.0  # a silence this long ends a conversation
MEMORY: Final = 120  # messages of a channel that may be answered
OWN_S: Final = 10 * 60.0  # within this, somebody goes on with what they were saying
ASKED_S: Final = 20 * 60.0  # within this, somebody answers who asked them
QUESTION_S: Final = 3 * 60.0  # within this, a question to everybody is answered
QUIET_S: Final = 20 * 60.0  # this far back only one conversation: whoever speaks, joins it
QUOTE_LEAST: Final = 12  # characters of a quotation that say whose words it repeats
NAME_LIMIT: Final = 80
HEAD: Final = 60  # characters of a text in which somebody may be named without a sign
TAIL: Final = 40
_BORDER: Final = re.compile(r"(?<!^)(?=\W|$)")
_NICK: Final = re.compile(r"([^\s:,@<>]{2,32})[:,](?=\s)")
_WORD: Final = re.compile(r"[\w|\[\]{}^`\\-]{3,32}")


@dataclass(slots=True)
class Placed:
    """A message, and the conversation that it was found in."""

    said: Said
    at: float
    conversation: int
    names: str | None  # whom it addresses
    asks: bool  # a question that nobody is named in


@dataclass
class Directory:
    """Whom a name in a text means. A name that two people share means nobody."""

    _ids: dict[str, str | None] = field(default_factory=dict[str, str | None])
    _longest: int = 0

    @classmethod
    def of(cls, people: Iterable[Person]) -> "Directory":
        """Display names and handles."""
        directory = cls()
        for person in people:
            for name in {person.display_name.casefold(), person.handle.casefold()} - {""}:
                directory.add(name, person.user_id)
        return directory

    def add(self, name: str, user_id: str) -> None:
        """One more name of a person."""
        key = name.casefold()
        self._ids[key] = user_id if self._ids.get(key, user_id) == user_id else None
        self._longest = min(max(self._longest, len(key)), NAME_LIMIT)

    def opening(self, text: str) -> str | None:
        """The person whose name opens a text: ``@Ada Lovelace …`` or ``ada: …``."""
        if text.startswith("@"):
            head = text[1 : self._longest + 2].casefold()
            ends = [found.start() for found in _BORDER.finditer(head)]
            return next(
                (found for end in reversed(ends) if (found := self._ids.get(head[:end])) is not None), None
            )
        nick = _NICK.match(text)
        return self._ids.get(nick[1].casefold()) if nick else None

    def named(self, word: str) -> str | None:
        """The person of that name."""
        return self._ids.get(word.casefold())


@dataclass
class Channel:
    """What a channel held lately. Feed it messages in the order of time."""

    directory: Directory
    _recent: deque[Placed] = field(default_factory=lambda: deque[Placed](maxlen=MEMORY))
    _last_of: dict[str, Placed] = field(default_factory=dict[str, Placed])
    _asked: dict[str, Placed] = field(default_factory=dict[str, Placed])
    _next: int = 0

    def place(self, said: Said) -> tuple[Placed, Placed | None]:
        """The message with its conversation, and the message that it answers, if any."""
        at = said.at
        self._forget(at)
        named = self._named(said.text)
        asks = named is None and "?" in said.text
        parent = self._parent(said, at, named)
        if parent is None:
            self._next += 1
        placed = Placed(said, at, self._next if parent is None else parent.conversation, named, asks)
        self._keep(placed)
        return placed, parent

    def _named(self, text: str) -> str | None:
        found = self.directory.opening(text)
        if found is not None:
            return found
        for word in (*_WORD.findall(text, 0, HEAD)[:3], *_WORD.findall(text, max(0, len(text) - TAIL))[-2:]):
            user_id = self.directory.named(word)
            if user_id is not None and user_id in self._last_of:
                return user_id
        return None

    def _parent(self, said: Said, at: float, named: str | None) -> Placed | None:
        if not self._recent:
            return None
        author = said.user_id or ""
        if quoted := self._quoted(said.text):
            return quoted
        own = self._last_of.get(author)
        if named is not None and named != author:
            return self._of_the_named(author, named)
        asked = self._asked.get(author)
        if asked is not None and at - asked.at <= ASKED_S and (own is None or own.at <= asked.at):
            return asked
        if own is not None and at - own.at <= OWN_S:
            return own
        return self._adjacent(said, at)

    def _of_the_named(self, author: str, named: str) -> Placed | None:
        """The newest words between the two: theirs to nobody else, or the author's own to them."""
        for each in reversed(self._recent):
            if each.said.user_id == named and each.names in (None, author):
                return each
            if each.said.user_id == author and each.names == named:
                return each
        return None

    def _adjacent(self, said: Said, at: float) -> Placed | None:
        last = self._recent[-1]
        if (
            last.asks
            and at - last.at <= QUESTION_S
            and last.said.user_id != said.user_id
            and "?" not in said.text
        ):
            return last
        lately = {each.conversation for each in self._recent if at - each.at <= QUIET_S}
        return last if len(lately) == 1 else None

    def _quoted(self, text: str) -> Placed | None:
        if not text.startswith(">"):
            return None
        quotation = text[1:].split("\n", 1)[0].strip()
        if len(quotation) < QUOTE_LEAST:
            return None
        return next((each for each in reversed(self._recent) if quotation in each.said.text), None)

    def _keep(self, placed: Placed) -> None:
        self._recent.append(placed)
        author = placed.said.user_id
        if author is not None:
            self._last_of[author] = placed
        if placed.names is not None:
            self._asked[placed.names] = placed

    def _forget(self, at: float) -> None:
        recent = self._recent
        while recent and at - recent[0].at > MEMORY_S:
            recent.popleft()
        oldest = recent[0].at if recent else at
        if len(self._last_of) + len(self._asked) > 4 * MEMORY:
            self._last_of = {user: each for user, each in self._last_of.items() if each.at >= oldest}
            self._asked = {user: each for user, each in self._asked.items() if each.at >= oldest}
