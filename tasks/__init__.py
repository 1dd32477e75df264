"""One stage, one file, one verb."""
