"""Assembly: facts in any order, batching and repetition become one call per request that a provider bills."""
