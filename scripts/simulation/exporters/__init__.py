"""What each program of the simulated cluster exposes; `defaults` adds what nobody reads."""
