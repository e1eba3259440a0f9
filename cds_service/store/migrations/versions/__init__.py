"""One module for each version of the schema. What is in use is never changed; the next version is a new module."""
