"""What authors of policies use: a scaffold, an explanation, a comparison of versions, mutants of a policy."""
