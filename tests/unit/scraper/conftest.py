"""Property tests run on busy machines: an example is judged by what it shows, not by how long it took."""

from hypothesis import HealthCheck, settings

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")
