"""Experiments on a running service: who is in which arm (``design``, ``assign``), and what came of it (``analyse``)."""
