-- Which of these price lines are written down already, and with which rates of their currencies.
SELECT price_id, usd_rate FROM price_lines FINAL WHERE price_id IN {ids:Array(String)}
