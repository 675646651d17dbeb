"""``--hypothesis-profile=thorough`` makes more exports than every run does, and reads the largest ones."""

from hypothesis import settings

settings.register_profile("thorough", deadline=None, max_examples=2_000, print_blob=True)
