"""Header names on the bus."""

from typing import Final

MESSAGE_ID: Final = "Nats-Msg-Id"
SCHEMA: Final = "schema_version"
DEAD_CODE: Final = "doppel-error-code"
DEAD_REASON: Final = "doppel-error"
DEAD_STACK: Final = "doppel-stack-digest"
DEAD_DELIVERIES: Final = "doppel-deliveries"
DEAD_STREAM: Final = "doppel-stream"
DEAD_SEQUENCE: Final = "doppel-sequence"

ONE_OUTCOME: Final = "done"
"""The last part of a result's id where a question has one answer, whatever it was: a redelivery adds no second one."""
