"""`pilothouse privacy`: personal data in files, and the key that hashes and pseudonyms are made with."""
