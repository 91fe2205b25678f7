"""The inference log: group-commit writer and its row type."""
