"""What inference touches: the engine, adapters on disk, token streams."""
