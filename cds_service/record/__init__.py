"""The patient's record as it was shown to us: orders, queries, value sets, commissioner."""
