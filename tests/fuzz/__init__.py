"""Random attacks that run as long as one likes; a short piece of each is a test."""
