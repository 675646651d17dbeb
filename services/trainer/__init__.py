"""The trainer: `train.request` in, an adapter in a person's voice out."""
