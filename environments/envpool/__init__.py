"""The environment backend "envpool": many environments in compiled code, stepped by one call."""
