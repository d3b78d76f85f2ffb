"""Everything that belongs to a single run: its member, returns, checkpoints and summaries."""
