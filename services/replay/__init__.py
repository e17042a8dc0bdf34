"""The whole flow on a file, in simulated time, without a broker."""
