"""A model as a folder that stands alone: what goes into it, its card, and writing it."""
