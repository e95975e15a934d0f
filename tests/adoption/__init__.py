"""What owners of this repository do to it, and that everything is green afterwards."""
