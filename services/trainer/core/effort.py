"""How much is generated and probed for a voice report: enough to judge, within seconds on a processor."""

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from proto.body import Body
from services.trainer.core.plan import Device


class Effort(Body):
    """Sizes of one voice report."""

    answers: PositiveInt  # generated, one per conversation of the test split
    base_answers: NonNegativeInt  # of the plain base model, to compare with
    new_tokens: PositiveInt  # of each answer at most
    prompt_tokens: PositiveInt  # of each conversation at most, from its end
    batch: PositiveInt  # answers at once
    probes: PositiveInt  # training samples that are tried for recitation
    classifier_messages: PositiveInt  # of each side at most
    examples: NonNegativeInt  # shown on the page
    limit_s: PositiveFloat  # for generating; answers under way are cut there


ON_CPU = Effort(
    answers=10,
    base_answers=5,
    new_tokens=28,
    prompt_tokens=80,
    batch=10,
    probes=8,
    classifier_messages=600,
    examples=6,
    limit_s=12,
)
ON_CUDA = Effort(
    answers=96,
    base_answers=96,
    new_tokens=128,
    prompt_tokens=1024,
    batch=32,
    probes=96,
    classifier_messages=3000,
    examples=10,
    limit_s=180,
)


def effort_on(device: Device) -> Effort:
    """What the device does in reasonable time."""
    return ON_CUDA if device == "cuda" else ON_CPU
