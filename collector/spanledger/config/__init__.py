"""What an operator can set: the model, where values come from, and the reference generated from it."""
