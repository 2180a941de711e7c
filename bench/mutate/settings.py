"""A pytest plugin: property tests draw the same examples for every mutant, no clock fails them, nothing is shrunk."""

from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "mutate",
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=HealthCheck,
)
settings.load_profile("mutate")
