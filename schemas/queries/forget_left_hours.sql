-- Hours whose rollups still have to be rebuilt after something noted was erased.
SELECT DISTINCT hour FROM forgetting WHERE kind = 'hour'
