"""The command line: commands, options, settings, and how each of them ends."""
