"""The running training in Prometheus, without a label per run."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.trainer.core.job import Progressed


class Gauges:
    """What a dashboard of trainings needs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._train_loss = Gauge("doppel_train_loss", "Nats per persona token.", registry=registry)
        self._validation_loss = Gauge("doppel_validation_loss", "The same, held out.", registry=registry)
        self._learning_rate = Gauge("doppel_learning_rate", "Of the newest step.", registry=registry)
        self._tokens = Gauge("doppel_train_tokens_per_second", "Throughput.", registry=registry)
        self._memory = Gauge("doppel_train_memory_bytes", "Peak memory of the child.", registry=registry)
        self._ends = Counter("doppel_runs", "Ended runs by state.", ["state"], registry=registry)

    def progress(self, event: Progressed) -> None:
        """The newest numbers."""
        for gauge, value in (
            (self._train_loss, event.train_loss),
            (self._validation_loss, event.validation_loss),
            (self._learning_rate, event.learning_rate),
            (self._tokens, event.tokens_per_s),
            (self._memory, event.memory_bytes),
        ):
            if value is not None:
                gauge.set(value)

    def ended(self, state: str) -> None:
        """One more run has ended."""
        self._ends.labels(state).inc()
