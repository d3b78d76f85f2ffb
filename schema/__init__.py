"""What a config may say, and how its file is read."""
