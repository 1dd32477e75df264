"""Comparison of two runs: parameters, data, results, significance; and a run's images, for the Python API."""
