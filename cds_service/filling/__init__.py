"""A form between the card that offered it and the answers that come back: what is kept, what it decides so far."""
