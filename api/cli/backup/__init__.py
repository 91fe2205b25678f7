"""`pilothouse backup` and `pilothouse restore`."""
