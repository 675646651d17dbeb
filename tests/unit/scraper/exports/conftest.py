"""``--hypothesis-profile=thorough`` makes more and larger exports than every run does."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "thorough", deadline=None, max_examples=2_000, suppress_health_check=list(HealthCheck), print_blob=True
)
