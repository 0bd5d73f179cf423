"""Settings: what an administrator may write, read once and checked before anything starts."""
