"""Transport: the one reader for all that comes from outside, with a bound on its time and on every byte."""
