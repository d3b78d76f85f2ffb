"""PPO's parts by PyTorch, for every network and on every device."""
