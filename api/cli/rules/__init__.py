"""`pilothouse rules`: alert rules and channels as a file under version control, compared with the server's, applied."""
