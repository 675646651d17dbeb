"""What the trainer answers to: `train.request` and `train.cancel.<run_id>`."""

from services.trainer.handlers.train import Handlers

__all__ = ["Handlers"]
