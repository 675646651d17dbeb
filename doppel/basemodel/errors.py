"""What can be wrong with a base model before it is in the bucket."""

from proto.errors import PermanentError


class BaseModelUnusable(PermanentError):
    """What `DOPPEL_BASE_MODEL` names can't be prepared or spoken to; the sentence says what to change."""

    code = "base_model_unusable"
