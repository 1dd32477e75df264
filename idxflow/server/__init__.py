"""The local Prefect server: its process, its password, its guard, and who talks to it."""
