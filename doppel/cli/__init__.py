"""``doppel …``: what people in ops type. It reads, publishes commands, follows outcomes; it writes no table."""
