"""How a training is explained: figures and the report's page."""
