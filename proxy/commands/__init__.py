"""The commands, a module for each kind. Each has `add_to(app)`; heavy imports stay inside."""
