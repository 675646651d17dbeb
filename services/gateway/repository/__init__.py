"""The gateway's SQL, one function per query, split by table."""

from services.gateway.repository.catch_ups import CatchUp, CatchUps
from services.gateway.repository.debates import Debates
from services.gateway.repository.endings import Ended, Endings
from services.gateway.repository.feedback import Feedback
from services.gateway.repository.homes import Homes
from services.gateway.repository.oauth_states import OAuthStates
from services.gateway.repository.outbox import Outbox
from services.gateway.repository.personas import ActivePersona, Personas
from services.gateway.repository.purges import Purges
from services.gateway.repository.questions import Questions
from services.gateway.repository.renewals import Renewal, Renewals
from services.gateway.repository.rules import RulesTable
from services.gateway.repository.streams import Streams
from services.gateway.repository.trainings import Training, Trainings
from services.gateway.repository.versions import StoredReport, Versions
from services.gateway.repository.voices import Voices
from services.gateway.repository.workspaces import Workspaces

__all__ = [
    "ActivePersona",
    "CatchUp",
    "CatchUps",
    "Debates",
    "Ended",
    "Endings",
    "Feedback",
    "Homes",
    "OAuthStates",
    "Outbox",
    "Personas",
    "Purges",
    "Questions",
    "Renewal",
    "Renewals",
    "RulesTable",
    "StoredReport",
    "Streams",
    "Training",
    "Trainings",
    "Versions",
    "Voices",
    "Workspaces",
]
