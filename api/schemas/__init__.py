"""Wire types of the HTTP contract."""
