"""What the operator's own keys do: deployment, registration, deposits."""
