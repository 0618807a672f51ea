"""Programs that make what is checked in; not part of the distribution."""
