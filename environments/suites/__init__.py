"""A module per suite that builds its single environments."""
