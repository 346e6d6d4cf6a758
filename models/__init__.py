"""Networks and signal models, and the registry of their weights."""
