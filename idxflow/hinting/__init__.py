"""Labels that a model doubts, under the names that people give to images and classes."""
