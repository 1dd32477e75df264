"""The history as rows."""
