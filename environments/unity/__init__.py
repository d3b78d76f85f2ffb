"""The environment backend "unity": Unity players, each controlled by ML-Agents over a port."""
