"""`pilothouse up`: starts every part, keeps it alive, and stops all of it. Knows processes, not models."""
