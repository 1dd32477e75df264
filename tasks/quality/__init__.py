"""How good images and predictions are: profiles, duplicates, drift, leaks, scores."""
