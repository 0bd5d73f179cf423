"""The appliance: doors, journal, ingest, queue, commands. FLOW.md reads it downward once."""

__version__ = "0.1.0"
