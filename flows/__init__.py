"""The pipeline, readable as its DAG."""
