"""esptool's own test suite against virtual boards, run from a checkout that the user names; nothing of it is kept here."""
