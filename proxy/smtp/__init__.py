"""SMTP and LMTP: the doors, the next hop, and delivery of what is ours."""
