"""From plan folders to a library of policies: everything is checked here, once, at load."""
