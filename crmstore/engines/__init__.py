"""The database engines: what each does in its own way, behind one interface (common.Backend)."""
