"""Real servers for tests: Postfix, Dovecot, swaks. See servers.py for the rules."""
