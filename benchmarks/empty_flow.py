"""A floor: a Prefect flow of as many tasks as it is told, which do nothing. `python benchmarks/empty_flow.py 20`."""

from __future__ import annotations

import sys

from prefect import flow, task
from prefect.futures import wait


@task
def nothing(number: int) -> int:
    """Do nothing."""
    return number


@flow
def empty(tasks: int) -> None:
    """Submit the tasks and wait for them."""
    wait([nothing.submit(number) for number in range(tasks)])


if __name__ == "__main__":
    empty(int(sys.argv[1]))
