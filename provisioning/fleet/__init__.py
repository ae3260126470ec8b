"""Fleets: what is known of every device in the field, and migrations that go over them in waves."""
