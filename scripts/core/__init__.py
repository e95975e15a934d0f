"""What all programs share: findings, YAML, quantities, git, kubectl, running programs, waiting."""
