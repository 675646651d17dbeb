"""What Slack told us, verified (``slack.event``). Only what doppel reads is kept."""

from typing import Annotated, Any, Literal, cast

from pydantic import AwareDatetime, Discriminator, Field, StringConstraints, Tag, field_validator

from proto.body import AppId, Body, ChannelId, TeamId, Ts, UserId

EventId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,100}$")]
ResponseUrl = Annotated[str, Field(max_length=500)]  # a bearer secret: never logged


class Utterance(Body):
    """A message as the Events API tells it (types ``app_mention`` and ``message``)."""

    type: Literal["app_mention", "message"]
    channel: ChannelId
    channel_type: str | None = None
    user: UserId | None = None
    text: str = Field(default="", repr=False)
    ts: Ts
    thread_ts: Ts | None = None
    subtype: str | None = None
    bot_id: str | None = None
    app_id: str | None = None
    bot_profile: dict[str, Any] | None = Field(default=None, repr=False)
    edited: dict[str, Any] | None = Field(default=None, repr=False)
    hidden: bool = False
    team: str | None = None
    user_team: str | None = None
    source_team: str | None = None

    @field_validator("text", mode="before")
    @classmethod
    def _no_text_is_empty(cls, value: object) -> object:
        return "" if value is None else value


class DeadTokens(Body):
    """Whose tokens died: users by id, the bot's among ``bot``."""

    oauth: tuple[str, ...] = ()
    bot: tuple[str, ...] = ()


class TokensRevoked(Body):
    """Tokens died; they are dead already when this comes."""

    type: Literal["tokens_revoked"]
    tokens: DeadTokens = DeadTokens()


class AppUninstalled(Body):
    """The app is gone from the workspace, or the organisation."""

    type: Literal["app_uninstalled"]


class TeamAccess(Body):
    """Workspaces that an org-wide installation was let into, or shut out of."""

    type: Literal["team_access_granted", "team_access_revoked"]
    team_ids: tuple[TeamId, ...] = ()


class MemberJoined(Body):
    """Somebody, perhaps the bot, is in a channel now. `inviter` is missing where they joined by themselves."""

    type: Literal["member_joined_channel"]
    user: UserId
    channel: ChannelId
    inviter: UserId | None = None


class Reacted(Body):
    """What a reaction is on: a message has a channel and a ts."""

    channel: ChannelId | None = None
    ts: Ts | None = None


class ReactionAdded(Body):
    """Somebody put an emoji on something."""

    type: Literal["reaction_added"]
    user: UserId
    reaction: str = Field(max_length=255)
    item: Reacted = Reacted()


class AppHomeOpened(Body):
    """Somebody looks at the app: its Home tab, or its messages."""

    type: Literal["app_home_opened"]
    user: UserId
    tab: str = ""


class OtherEvent(Body):
    """Any other event type: acknowledged, not acted on."""

    type: str
    subtype: str | None = None


_KINDS = {
    "app_home_opened": "app_home",
    "tokens_revoked": "tokens_revoked",
    "app_uninstalled": "app_uninstalled",
    "team_access_granted": "team_access",
    "team_access_revoked": "team_access",
    "member_joined_channel": "member_joined",
    "reaction_added": "reaction_added",
}
_SPOKEN = ("app_mention", "message")  # tuples: what comes in may be anything, also what a set can't look for
_CHANGES = ("message_changed", "message_deleted", "message_replied")


def _event_kind(value: Any) -> str:
    """Utterance or other. Edits and deletions carry their message one level deeper; nobody answers them."""
    event = cast("dict[str, Any]", value if isinstance(value, dict) else getattr(value, "__dict__", {}))
    kind = event.get("type")
    if kind in _SPOKEN:
        return "other" if event.get("subtype") in _CHANGES else "utterance"
    return _KINDS.get(kind, "other") if isinstance(kind, str) else "other"


class Authorization(Body):
    """Whose installation an event is for (the first of the list)."""

    team_id: TeamId | None = None
    enterprise_id: str | None = None
    user_id: UserId | None = None
    is_enterprise_install: bool = False


class EventCallback(Body):
    """The envelope of an event."""

    kind: Literal["event"] = "event"
    team_id: TeamId
    enterprise_id: str | None = None
    api_app_id: AppId
    event_id: EventId
    event_time: int | None = None
    authorizations: tuple[Authorization, ...] = ()
    is_ext_shared_channel: bool = False
    event: Annotated[
        Annotated[Utterance, Tag("utterance")]
        | Annotated[TokensRevoked, Tag("tokens_revoked")]
        | Annotated[AppUninstalled, Tag("app_uninstalled")]
        | Annotated[TeamAccess, Tag("team_access")]
        | Annotated[MemberJoined, Tag("member_joined")]
        | Annotated[ReactionAdded, Tag("reaction_added")]
        | Annotated[AppHomeOpened, Tag("app_home")]
        | Annotated[OtherEvent, Tag("other")],
        Discriminator(_event_kind),
    ]

    @property
    def installed_team_id(self) -> str:
        """The workspace whose installation answers: the authorization's before the sender's."""
        first = self.authorizations[0] if self.authorizations else None
        return first.team_id if first and first.team_id else self.team_id

    @property
    def installed_enterprise_id(self) -> str | None:
        """The organisation of that installation, if it has one."""
        first = self.authorizations[0] if self.authorizations else None
        return first.enterprise_id if first and first.enterprise_id else self.enterprise_id

    @property
    def is_org_wide(self) -> bool:
        """Is the installation the organisation's?"""
        return bool(self.authorizations) and self.authorizations[0].is_enterprise_install


class SlashCommand(Body):
    """A ``/doppel …`` as Slack posts it."""

    kind: Literal["command"] = "command"
    team_id: TeamId
    enterprise_id: str | None = None
    api_app_id: AppId
    channel_id: ChannelId
    user_id: UserId
    user_name: str = Field(default="", repr=False)
    command: str
    text: str = Field(default="", repr=False)
    trigger_id: EventId
    response_url: ResponseUrl = Field(default="", repr=False)


class Action(Body):
    """A pressed button."""

    action_id: str = Field(max_length=255)
    block_id: str | None = None
    value: str | None = Field(default=None, max_length=2000, repr=False)


class Container(Body):
    """Where the button sits."""

    channel_id: ChannelId | None = None
    message_ts: Ts | None = None
    thread_ts: Ts | None = None
    is_ephemeral: bool = False


class Named(Body):
    """A reference by id."""

    id: str


class Place(Body):
    """The channel that a message's shortcut was used in."""

    id: ChannelId


class Spot(Body):
    """The message that it was used on."""

    ts: Ts


class Presser(Body):
    """Who pressed it."""

    id: UserId
    team_id: TeamId | None = None


class Chosen(Body):
    """One of the choices of a field."""

    value: str = Field(max_length=150)


class FormField(Body):
    """What somebody put into one field of a form; which of these there is depends on its kind."""

    value: str | None = Field(default=None, max_length=4000, repr=False)
    selected_user: UserId | None = None
    selected_option: Chosen | None = None
    selected_options: tuple[Chosen, ...] = ()


class FormState(Body):
    """Block id → action id → what is in that field."""

    values: dict[str, dict[str, FormField]] = Field(default={}, repr=False)


class View(Body):
    """A form that was filled in."""

    id: str = Field(max_length=255)
    callback_id: str = Field(default="", max_length=255)
    private_metadata: str = Field(default="", max_length=3000, repr=False)
    state: FormState = FormState()


class Interaction(Body):
    """A button pressed (``block_actions``), a form sent off (``view_submission``), a ``shortcut``, or one of a message
    (``message_action``)."""

    kind: Literal["interaction"] = "interaction"
    type: str
    api_app_id: AppId
    team: Named | None = None
    enterprise: Named | None = None
    user: Presser
    trigger_id: EventId
    container: Container = Container()
    channel: Place | None = None
    message: Spot | None = Field(default=None, description="Of a shortcut: the message it was used on.")
    response_url: ResponseUrl = Field(default="", repr=False)
    actions: tuple[Action, ...] = ()
    callback_id: str = Field(default="", max_length=255, description="Of a shortcut.")
    view: View | None = None

    @property
    def channel_id(self) -> str | None:
        """Where it was pressed; a form and a global shortcut have no place."""
        return self.container.channel_id or (self.channel.id if self.channel else None)

    @property
    def message_ts(self) -> str | None:
        """On which message."""
        return self.container.message_ts or (self.message.ts if self.message else None)

    @property
    def team_id(self) -> str:
        """The workspace; org-wide installs leave `team` out."""
        return self.team.id if self.team else (self.user.team_id or "")

    @property
    def enterprise_id(self) -> str | None:
        """Its organisation, if it has one."""
        return self.enterprise.id if self.enterprise else None


class SlackEvent(Body):
    """One verified delivery from Slack (``slack.event``): an event, a command or an interaction."""

    received_at: AwareDatetime | None = Field(
        default=None, description="When the gateway took it; absent in a hand-published one."
    )
    payload: Annotated[EventCallback | SlashCommand | Interaction, Field(discriminator="kind")]

    @property
    def key(self) -> str:
        """What makes it one delivery: the event's id, or the trigger of a command or button."""
        return self.payload.event_id if isinstance(self.payload, EventCallback) else self.payload.trigger_id
