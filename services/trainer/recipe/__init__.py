"""The recipe: base model and samples in, a LoRA adapter out. Runs in a child process; knows neither bus nor SQL."""
