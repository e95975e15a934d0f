// Empty: with it, Go compiles the functions without a body that are linked by name.
