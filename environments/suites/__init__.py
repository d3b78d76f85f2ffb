"""Suites of environments: one module per suite makes its single environments."""
