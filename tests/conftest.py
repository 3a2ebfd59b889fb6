"""Markers, and how hypothesis looks for counterexamples."""

import pytest
from hypothesis import HealthCheck, settings

# A busy machine must not fail a test, and the same tests must not fail at one time and pass at
# another: so no deadlines, and the same examples each time. `--hypothesis-profile=explore` looks
# for new ones.
_ANY_SPEED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("repeatable", _ANY_SPEED, derandomize=True, database=None)
settings.register_profile("explore", _ANY_SPEED)
settings.load_profile("repeatable")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "every_kernel: holds for every kernel of the kind; also run on the variants of ours",
    )
