"""A pytest plugin: property tests draw the same examples for every mutant, no clock fails them, nothing is shrunk."""

import pytest
from hypothesis import HealthCheck, Phase, settings


def pytest_configure(config: pytest.Config) -> None:
    """After tests/conftest.py, which has a profile of its own, and before any test is read."""
    settings.register_profile(
        "mutate",
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=HealthCheck,
    )
    settings.load_profile("mutate")
