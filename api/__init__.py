"""The door for people and programs: HTTP API, scoring, inference log writer and command line."""
