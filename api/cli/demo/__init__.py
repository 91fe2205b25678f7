"""`pilothouse demo`: the main job on real data, each step over HTTP and shown as the curl line that does it."""
