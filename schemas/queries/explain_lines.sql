-- The price lines of a call; a line that was used with two rates of its currency is there twice. Ids joined by commas.
SELECT
    price_id, layer, provider, model, variant, bucket, tier_min, unit_size, toString(unit_price) AS unit_price, currency,
    toString(usd_rate) AS usd_rate, toString(effective_from) AS effective_from, toString(effective_to) AS effective_to,
    schedule, contract, source, confidence, kind
FROM price_lines FINAL
WHERE price_id IN splitByChar(',', {ids:String})
