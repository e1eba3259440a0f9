"""Who may call, and proof that it is them."""
