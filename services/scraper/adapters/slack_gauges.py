"""The reading through Slack's API in Prometheus; labels are methods and outcomes of ours, so they stay few."""

from typing import Literal

from prometheus_client import CollectorRegistry, Counter

Outcome = Literal["ok", "ratelimited", "refused", "away", "unknown"]


class SlackGauges:
    """What a dashboard of scrapes needs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "doppel_slack_requests", "Calls that read Slack.", ["method", "outcome"], registry=registry
        )
        self._waited = Counter(
            "doppel_slack_budget_wait_seconds",
            "Time spent waiting for the budget.",
            ["method"],
            registry=registry,
        )
        self._messages = Counter("doppel_messages_read", "Messages read through the API.", registry=registry)

    def request(self, method: str, outcome: Outcome) -> None:
        """One call ended so."""
        self._requests.labels(method, outcome).inc()

    def waited(self, method: str, seconds: float) -> None:
        """The budget held a call back."""
        self._waited.labels(method).inc(seconds)

    def messages(self, count: int) -> None:
        """So many more lie in the bucket."""
        self._messages.inc(count)
