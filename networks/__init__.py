"""What the actor-critic in `model.py` is made of."""
