"""MicroPython's own tests, and mpremote's, against virtual boards, run from a checkout that the user names; nothing of it is kept here."""
