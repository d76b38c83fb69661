"""Reports over the log: what each says is built by a pure function, and printed in one of three forms."""
