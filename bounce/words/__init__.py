"""Tables of the words in which servers say why mail was not taken, a file for each language."""
