"""The post office: takes a notice and a channel and says what became of it. The only importer of Apprise."""
