"""Benchmarks: what idxflow takes, beside what a plain script takes and what the machine could do. `make bench`."""
