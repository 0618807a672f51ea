-- The latest moment that a row was booked at, whatever reprice made of its version since (52: GENERATION_SHIFT).
SELECT max(bitAnd(version, bitShiftLeft(toUInt64(1), 52) - 1)) FROM llm_costs
