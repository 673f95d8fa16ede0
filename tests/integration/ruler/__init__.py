"""What phonebank measures beside what the ruler did."""
