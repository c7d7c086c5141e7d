"""The same random histories where a second Bindery holds the bindings, Notify and Chat, with faults between the two."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.e2e.compatible.api_process import api_process
from tests.e2e.compatible.deployment import environment as environment_there
from tests.integration.model.pair_machine import PairMachine
from tests.servers.valkey import ValkeyServer


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Both servers, and the upstream's API."""
    directory = tmp_path_factory.mktemp("there")
    with ValkeyServer() as here, ValkeyServer() as store_there:
        PairMachine.url, PairMachine.store_there = here.url, store_there
        PairMachine.environ_there = environment_there(store_there.url, directory)
        with api_process(PairMachine.environ_there, directory) as PairMachine.there:
            yield


def run(examples: int, steps: int) -> None:
    """Run histories of at most ``steps`` steps."""
    run_state_machine_as_test(
        PairMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.slow
@pytest.mark.usefixtures("there")
def test_random_histories_end_with_what_is_desired_at_the_upstream() -> None:
    """Short histories, the same on each run."""
    run(examples=12, steps=30)


@pytest.mark.proof
@pytest.mark.usefixtures("there")
def test_many_random_histories_end_with_what_is_desired_at_the_upstream() -> None:
    """Many long histories."""
    run(examples=300, steps=60)
