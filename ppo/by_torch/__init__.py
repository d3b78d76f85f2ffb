"""Acting and learning by PyTorch, for all networks and devices."""
