"""The store as people ask about it: what ran, why, from what, what of it is sound, and what can go."""
