"""What is said of the machine."""

from __future__ import annotations

from benchmarks.machine import describe_machine


def test_the_machine_is_told_in_three_lines() -> None:
    """Processor, memory and load; versions; the commit: as text, and read back from JSON."""
    machine = describe_machine()
    hardware, software, version = str(machine).splitlines()
    assert f"{machine.environment.cores} cores" in hardware
    assert machine.memory > 10**8
    assert {"tensorflow", "keras", "numpy", "prefect"} <= set(software.replace(",", "").split())
    assert version.startswith("idxflow ")
    assert type(machine).model_validate_json(machine.model_dump_json()) == machine
