"""The rules of outgoing HTTP."""
