"""Shortlist: from a catalogue of millions to the ten that matter."""

__version__ = "0.1.0"
