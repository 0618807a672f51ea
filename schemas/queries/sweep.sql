-- Spans that stand in more than one row, or stand in one and were absorbed by another, and response ids that stand in
-- more than one: what a sweep must look at. One side of a pair must start in the asked hours, the other up to an hour
-- away.
WITH seen AS
(
    SELECT trace_id, span_id, response_id, absorbed_spans
    FROM calls
    WHERE timestamp >= toDateTime64({first:Int64} - 3600, 6, 'UTC') AND timestamp < toDateTime64({last:Int64} + 7200, 6, 'UTC')
)
SELECT trace_id, span_id, ''
FROM seen
GROUP BY trace_id, span_id
HAVING count() > 1
UNION DISTINCT
SELECT trace_id, span_id, ''
FROM seen
WHERE concat(trace_id, ':', span_id) IN (SELECT arrayJoin(absorbed_spans) FROM seen)
UNION DISTINCT
SELECT '', '', response_id
FROM seen
WHERE length(response_id) >= 8
GROUP BY response_id
HAVING count() > 1
