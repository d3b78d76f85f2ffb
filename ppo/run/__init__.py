"""The parts of a single run: its member, returns, checkpoints, summaries and evaluation."""
