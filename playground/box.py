"""What the parts of the playground share: the workspace, tokens, switches, journal."""

import copy
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from playground.faults import Faults
from playground.hub import Hub
from playground.installs import Installs
from playground.journal import Journal
from playground.limits import Limits
from playground.model import SeedWorkspace
from playground.settings import Settings
from playground.state import AppIdentity, Change, Workspace

TICKET_S = 30.0
RESPONSE_URL_S = 30 * 60.0
RESPONSE_URL_USES = 5
TRIGGER_S = 3.0


@dataclass
class ResponseUrl:
    """Where an answer to a command or a button may go."""

    channel_id: str
    user_id: str
    expires_at: float
    uses_left: int = RESPONSE_URL_USES
    message_ts: str | None = None
    is_ephemeral: bool = False
    thread_ts: str | None = None
    team_id: str = ""  # whose channel it is


@dataclass
class Box:
    """The state of one playground. `observe` is told of each change, of a fresh workspace too."""

    settings: Settings
    seed: SeedWorkspace
    public_url: str = ""
    faults: Faults = field(default_factory=Faults)
    journal: Journal = field(default_factory=Journal)
    hub: Hub = field(default_factory=Hub)
    limits: Limits = field(default_factory=Limits)
    revoked: set[str] = field(default_factory=set[str])
    tickets: dict[str, float] = field(default_factory=dict[str, float])
    responses: dict[str, ResponseUrl] = field(default_factory=dict[str, ResponseUrl])
    triggers: dict[str, float] = field(default_factory=dict[str, float])
    trigger_users: dict[str, str] = field(default_factory=dict[str, str])
    upload_urls: dict[str, str] = field(default_factory=dict[str, str])
    gateway_urls: list[str] = field(default_factory=list[str])
    subscribed: set[str] = field(default_factory=set[str])
    installs: Installs = field(default_factory=Installs)
    others: dict[str, Workspace] = field(default_factory=dict[str, Workspace])
    workspace: Workspace = field(init=False)

    def __post_init__(self) -> None:
        self.gateway_urls = list(self.settings.gateway_urls)
        self.subscribed = set(self.settings.subscribe)
        self.limits.set(self.settings.rate_limits, self.settings.clock_scale)
        self.installs.rotation = self.settings.token_rotation
        self.installs.life_s = self.settings.token_life_s
        self.workspace = self._fresh()

    # further workspaces

    def at(self, team_id: str) -> "Box":
        """The same box, seen from one of its workspaces. Raises KeyError."""
        if team_id == self.workspace.team_id:
            return self
        view = copy.copy(self)
        view.workspace = self.others[team_id]
        return view

    def places(self) -> dict[str, str]:
        """Where the app may be installed, with names: workspaces, and their organisation."""
        found = {each.team_id: each.team_name for each in (self.workspace, *self.others.values())}
        if self.settings.enterprise_id is not None:
            found[self.settings.enterprise_id] = "all of Playground Org"
        return found

    def teams_of(self, token: str) -> list[str]:
        """The workspaces that a token sees."""
        install = self.installs.of_token(token)
        if install is None:
            return [self.settings.team_id]
        if install.org_wide:
            return [place for place in self.places() if place.startswith("T")]
        return [install.installed_id]

    def seen_by(self, token: str, arguments: dict[str, Any]) -> "Box":
        """The box as a call sees it: an organisation's token says which workspace, or names its channel."""
        teams = self.teams_of(token)
        named = str(arguments.get("team_id") or "")
        if named in teams:
            return self.at(named)
        channel = str(arguments.get("channel") or "")
        for team_id in teams:
            if channel in self.at(team_id).workspace.channels:
                return self.at(team_id)
        return self.at(teams[0])

    @property
    def is_org_wide(self) -> bool:
        """Whether the app is here by its organisation's installation."""
        own, living = self.workspace.team_id, self.installs.living
        return own != self.settings.team_id and own not in living and self.settings.enterprise_id in living

    def has_app(self, team_id: str) -> bool:
        """Whether events of that workspace go out: the first one has the app by its settings."""
        org = self.settings.enterprise_id
        return team_id == self.settings.team_id or bool({team_id, org} & set(self.installs.living))

    def _fresh(self) -> Workspace:
        return Workspace(self.seed, AppIdentity(app_id=self.settings.api_app_id))

    def reset(self) -> None:
        """Begin again from the seed; gateways and subscriptions stay."""
        observers = self.workspace.observers
        self.workspace = self._fresh()
        self.workspace.observers = observers
        for forgotten in (
            self.revoked,
            self.tickets,
            self.responses,
            self.triggers,
            self.trigger_users,
            self.upload_urls,
        ):
            forgotten.clear()
        self.installs.clear()
        self.faults.clear()
        self.limits.set(self.settings.rate_limits, self.settings.clock_scale)
        self.journal.clear()
        self.hub.publish("reset", {})

    # one-time things

    def new_ticket(self, *, stale: bool = False) -> str:
        """A Socket Mode ticket, good once."""
        ticket = secrets.token_hex(16)
        if not stale:
            self.tickets[ticket] = time.monotonic() + TICKET_S
        return ticket

    def use_ticket(self, ticket: str) -> bool:
        """Whether this ticket opens a socket."""
        return self.tickets.pop(ticket, 0.0) >= time.monotonic()

    def new_response_url(self, target: ResponseUrl) -> str:
        """A URL for up to five answers within half an hour."""
        secret = secrets.token_urlsafe(24)
        self.responses[secret] = target
        return f"{self.public_url}/response/{secret}"

    def response_target(
        self, channel_id: str, user_id: str, *, message_ts: str | None = None, is_ephemeral: bool = False,
        thread_ts: str | None = None,
    ) -> ResponseUrl:  # fmt: skip
        """A fresh target with the full time and uses."""
        return ResponseUrl(
            channel_id, user_id, time.monotonic() + RESPONSE_URL_S,
            message_ts=message_ts, is_ephemeral=is_ephemeral, thread_ts=thread_ts, team_id=self.workspace.team_id,
        )  # fmt: skip

    def note_trigger(self, trigger: str, user_id: str) -> None:
        """A trigger_id starts its three seconds; what it opens is that person's."""
        self.trigger_users[trigger] = user_id
        self.triggers[trigger] = time.monotonic() + TRIGGER_S

    def use_trigger(self, trigger: str) -> str | None:
        """Use it once; the error code where it cannot be."""
        if (until := self.triggers.get(trigger)) is None:
            return "invalid_trigger_id"
        if until == 0.0:
            return "exchanged_trigger_id"
        self.triggers[trigger] = 0.0
        return None if until >= time.monotonic() else "expired_trigger_id"

    # what pages see

    def show(self, change: Change) -> None:
        """Tell the pages of a change."""
        data: dict[str, Any] = {"channel": change.channel.id, "message": change.message}
        if change.kind in ("posted", "changed"):
            self.hub.publish("message", data | {"is_new": change.kind == "posted"})
        elif change.kind in ("reacted", "unreacted"):
            self.hub.publish("message", data | {"is_new": False})
        elif change.kind in ("deleted", "ephemeral", "ephemeral_gone"):
            self.hub.publish(change.kind, data)
        else:
            self.hub.publish("channel", {"channel": change.channel.id})
