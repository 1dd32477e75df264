"""Two runs held against each other: what they were made from, what came of it, and whether chance explains that."""
