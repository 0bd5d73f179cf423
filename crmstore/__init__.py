"""The store: the only door to the database and the blobs, and what we read out of a message."""
