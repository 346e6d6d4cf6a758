"""Many runs, and one long run in parts: on this machine or on a Ray cluster. The engine knows nothing of it."""
