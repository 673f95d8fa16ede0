"""The front desk: the command, the embedded fleet, progress and tables. Imports only `shared`."""
