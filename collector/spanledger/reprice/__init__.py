"""Amounts after they were booked: their proof, and moving them on purpose."""
