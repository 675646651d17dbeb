"""Typed errors. Each has a code and one plain sentence for the person.

DoppelError
├─ Refusal                  an expected no: typed result, ack, nothing parked
│  ├─ NoConsent · PersonaUnknown · PersonaNotAllowed · NotInstalled
│  ├─ CorpusMissing · DatasetMissing · DatasetTooSmall · SourceNotAllowed · ExportInvalid · TextInvalid
│  ├─ AdapterMissing · VersionMissing · PlanInvalid · RequestInvalid
│  └─ DeadlinePassed · Cancelled
├─ PermanentError           will not get better: parked, typed result, term
│  ├─ ArtifactCorrupt (AdapterCorrupt, BaseModelCorrupt) · BaseModelMissing
│  └─ TrainingFailed · Crashed · Undecodable
├─ TransientError           somebody is away: back with a delay, until the message is too old
└─ LeftAlone                another worker settles the message
   └─ LeaseLost
"""

from collections.abc import Mapping
from typing import ClassVar

from proto.body import ErrorInfo
from proto.dataset import say_dropped


class DoppelError(Exception):
    """The root: `code` is for machines, `str(error)` for the person."""

    code: ClassVar[str] = "internal"

    def info(self) -> ErrorInfo:
        """The error as it travels in a result."""
        return ErrorInfo(code=self.code, message=str(self))


class Refusal(DoppelError):
    """An expected no."""


class PermanentError(DoppelError):
    """Trying again can't help."""


class TransientError(DoppelError):
    """Somebody we need is away; the message comes back after `delay_s` (None: exponential back-off)."""

    code = "unavailable"

    def __init__(self, message: str, *, delay_s: float | None = None) -> None:
        super().__init__(message)
        self.delay_s = delay_s


class LeftAlone(DoppelError):
    """Neither ack nor nak: another worker holds what the message asks for."""


class LeaseLost(LeftAlone):
    """A later worker took the lease over."""

    code = "lease_lost"

    def __init__(self, what: object) -> None:
        super().__init__(f"The lease of {what} was taken over by another worker.")


class NoConsent(Refusal):
    """The person has not said yes, or has said no since."""

    code = "no_consent"

    def __init__(self, user_id: str) -> None:
        super().__init__(
            f"<@{user_id}> has not agreed to be imitated. "
            f"Ask with /doppel train <@{user_id}>; only they can press Allow."
        )


class PersonaUnknown(Refusal):
    """Nobody of that name or id is known in the workspace."""

    code = "persona_unknown"

    def __init__(self, who: str) -> None:
        super().__init__(f"I don't know who {who} is. Name a member of this workspace, for example @ada.")


class PersonaNotAllowed(Refusal):
    """Bots, guests, external and deactivated people are never imitated."""

    code = "persona_not_allowed"

    def __init__(self, user_id: str, reason: str) -> None:
        super().__init__(f"<@{user_id}> can't be imitated: {reason}. Choose a full member of this workspace.")


class NotInstalled(Refusal):
    """No installation, so Slack can't be reached for this workspace."""

    code = "not_installed"

    def __init__(self, team_id: str) -> None:
        super().__init__(
            f"doppel is not installed in {team_id}. Install it there, or import an export: "
            f"`doppel import FILE.zip --team {team_id}`."
        )


class CorpusMissing(Refusal):
    """The workspace has no corpus yet."""

    code = "corpus_missing"

    def __init__(self, team_id: str) -> None:
        super().__init__(
            f"There is no corpus of {team_id} yet. "
            f"Import an export first: `doppel import FILE.zip --team {team_id}`."
        )


class DatasetMissing(Refusal):
    """The persona has no dataset."""

    code = "dataset_missing"

    def __init__(self, user_id: str) -> None:
        super().__init__(
            f"There is no dataset of <@{user_id}> yet. Run /doppel train <@{user_id}>, which cuts one first."
        )


class DatasetTooSmall(Refusal):
    """Too few samples to learn a voice from."""

    code = "dataset_too_small"

    def __init__(
        self, user_id: str, sample_count: int, needed: int, dropped: Mapping[str, int] | None = None
    ) -> None:
        reasons = say_dropped(dict(dropped or {}))
        super().__init__(
            f"<@{user_id}> has written too little to learn from: "
            f"{sample_count} usable messages, {needed} are needed. "
            + (f"Most of what was left out: {reasons}. " if reasons else "")
            + "Try again when there is more history."
        )


class SourceNotAllowed(Refusal):
    """The operator has not switched this source on."""

    code = "source_not_allowed"

    def __init__(self) -> None:
        super().__init__(
            "Training on messages read through Slack's API is switched off. Import an export ZIP, or set "
            "DOPPEL_TRAIN_ON_SLACK_API=i-have-slacks-permission."
        )


class ExportInvalid(Refusal):
    """The uploaded history can't be read."""

    code = "export_invalid"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"That export can't be read: {reason}. Export it again from Slack and import the ZIP as it came."
        )


class TextInvalid(Refusal):
    """The uploaded text file can't be read."""

    code = "text_invalid"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"That text file can't be read: {reason}. Correct the file and import it again; "
            "docs/how-to/bring-your-own-text.md shows the format."
        )


class AdapterMissing(Refusal):
    """The persona has no published adapter."""

    code = "adapter_missing"

    def __init__(self, user_id: str) -> None:
        super().__init__(f"<@{user_id}> is not trained yet. Run /doppel train <@{user_id}> first.")


class VersionMissing(Refusal):
    """There is no such version of a persona's adapter, or none before the active one."""

    code = "version_missing"

    def __init__(self, user_id: str, run_id: object | None = None) -> None:
        what = "no version before the active one" if run_id is None else f"no version {run_id}"
        super().__init__(
            f"<@{user_id}> has {what} that could be used. `doppel adapter list` shows which there are; "
            "train again to make a new one."
        )


class PlanInvalid(Refusal):
    """A recipe override is out of range."""

    code = "plan_invalid"


class RequestInvalid(Refusal):
    """The request asks for something that can't be done as written."""

    code = "request_invalid"


class DeadlinePassed(Refusal):
    """Nobody waits for the answer any more."""

    code = "deadline_passed"

    def __init__(self) -> None:
        super().__init__("That took too long, so I stopped. Please ask again.")


class Cancelled(Refusal):
    """Somebody stopped it."""

    code = "cancelled"

    def __init__(self) -> None:
        super().__init__("Stopped, as asked. Nothing was changed.")


class ArtifactCorrupt(PermanentError):
    """An object does not match its manifest."""

    code = "artifact_corrupt"

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"A stored file is damaged ({what}). Train again to replace it.")


class AdapterCorrupt(ArtifactCorrupt):
    """The adapter failed the gate before the engine."""

    code = "adapter_corrupt"


class BaseModelCorrupt(ArtifactCorrupt):
    """The base model's files don't match their manifest, or are of a kind that is not known here."""

    code = "base_model_corrupt"

    def __init__(self, what: str) -> None:
        DoppelError.__init__(
            self,
            f"The base model can't be used ({what}). "
            "Run `doppel setup` again, or set DOPPEL_BASE_MODEL to another one.",
        )


class BaseModelMissing(PermanentError):
    """The base model is not in the bucket."""

    code = "base_model_missing"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The base model {name} is not in the bucket. "
            "Run `doppel setup`, or set DOPPEL_BASE_MODEL to one that is there."
        )


class TrainingFailed(PermanentError):
    """The recipe gave up."""

    code = "training_failed"


class Crashed(PermanentError):
    """The work ended its process too often."""

    code = "crashed"

    def __init__(self) -> None:
        super().__init__(
            "This kept crashing, so I gave up on it. An operator finds it with `doppel dead list`."
        )


class Undecodable(PermanentError):
    """The bytes are no message of this subject."""

    code = "undecodable"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The message can't be read: {reason}.")
