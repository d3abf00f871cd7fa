"""Arguments in, an exit code out: each command reads its options, calls one function, shows it."""
