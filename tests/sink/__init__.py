"""The inside of tests/faultsink.py."""
