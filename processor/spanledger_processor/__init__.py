"""Span to fact (dialects), fact to call (assembly), call to priced row."""
