"""The simulated caller: its script, its turn taking and what it says when."""
