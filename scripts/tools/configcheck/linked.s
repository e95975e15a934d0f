// Empty: with it, Go compiles the functions without a body in operator.go.
