"""What runs stages: tasks, the run around them, and how it fails."""
