"""What a caller would have heard, in numbers, and whether they can be trusted."""
