"""CDS Hooks on the wire: requests, discovery, cards."""
