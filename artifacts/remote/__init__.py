"""The second level of the store: artifacts that a team shares, in a bucket or a folder. Nothing there is trusted."""
