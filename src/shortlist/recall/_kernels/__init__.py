"""Compiled loops of the channels. Each has its plain definition beside its tests, as the oracle."""
