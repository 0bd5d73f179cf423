"""Conversations of IMAP clients and servers, written down; `runner.py` says how to read them."""
