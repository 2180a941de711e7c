"""Column transforms learned from training rows only: one encoder per file."""
