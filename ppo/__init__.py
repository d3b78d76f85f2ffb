"""The parts of the algorithm that `trainer.py` puts in order."""
