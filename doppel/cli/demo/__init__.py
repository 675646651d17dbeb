"""``doppel demo``: the story, played through the playground, on the real system."""
