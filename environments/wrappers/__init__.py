"""What is put around a single environment."""
