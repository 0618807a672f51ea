"""The types and contracts that every stage shares. Imports no other package of the project."""
