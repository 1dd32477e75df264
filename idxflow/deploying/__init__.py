"""What `idxflow up` sets up on a Prefect server and keeps running: deployments, automations, a worker."""
