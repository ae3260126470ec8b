"""What somebody who helps needs to see of a station, in one file, without what is secret."""
