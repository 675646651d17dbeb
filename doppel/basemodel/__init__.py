"""One base model per deployment: make the tiny one, prepare any once into S3, fetch and verify it, turn turns into its tokens."""
