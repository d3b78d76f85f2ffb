"""Guards against environments that fail, hang or never end."""
