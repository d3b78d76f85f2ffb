"""Shows an answer: table, page and plots."""
