"""One base model per deployment: prepare it once into S3, fetch and verify it, turn turns into its tokens."""
