"""The IMAP proxy: cores (fragments, grammar, capabilities, login, observer), then the edges."""
