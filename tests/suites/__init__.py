"""What several things of one kind have to pass, each in its own test file."""
