"""The store: keys, publishing, manifests, the Prefect cache policy, run records."""
