"""The building blocks of the actor-critic in `model.py`."""
