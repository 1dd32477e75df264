"""One file a command: its arguments, and how its answer looks. The work is done elsewhere."""
