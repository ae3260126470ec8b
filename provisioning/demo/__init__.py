"""`twinroot demo`: the whole product on one machine. A board that is not there, a cloud that is not there, everything between is real."""
