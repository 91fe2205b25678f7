"""The post office: takes a notice and a channel and says what became of it. Empty until alerts land."""
