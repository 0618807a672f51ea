SELECT count(), sum(cost_usd), countIf(cost_usd IS NULL AND cost_status NOT IN ('not_billed'))
FROM calls
WHERE bitAnd(version, 4503599627370495) >= {first:UInt64} -- without the generation of a reprice
