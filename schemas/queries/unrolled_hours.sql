-- Hours that may have been written to after the rollups were last rebuilt, an hour of grace included: what a crash
-- between an insert and its rebuild leaves behind. Merges make parts anew too, so this names more hours than it must.
-- And hours that an earlier process kept by minutes, which may be over.
WITH (SELECT max(version) FROM llm_costs_hourly) AS rebuilt_us
SELECT DISTINCT toUInt32(toUnixTimestamp(toStartOfHour(timestamp)))
FROM llm_costs
WHERE _part IN
(
    SELECT name
    FROM system.parts
    WHERE database = currentDatabase() AND table = 'llm_costs' AND active
      AND toUnixTimestamp(modification_time) + 3600 >= intDiv(rebuilt_us, 1000000)
)
UNION DISTINCT
SELECT DISTINCT toUInt32(toUnixTimestamp(hour))
FROM llm_costs_hourly
WHERE slice > 0 AND is_deleted = 0 AND hour > now() - INTERVAL 7 DAY
