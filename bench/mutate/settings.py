"""A pytest plugin: property tests draw the same examples for every mutant, and no clock fails them."""

from hypothesis import HealthCheck, settings

settings.register_profile("mutate", derandomize=True, database=None, deadline=None, suppress_health_check=HealthCheck)
settings.load_profile("mutate")
