"""A package, so that the seeded store closes with the last of these tests."""
