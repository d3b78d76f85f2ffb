"""The steps of PPO, which `trainer.py` calls in order: sampling, advantages, learning, logging."""
