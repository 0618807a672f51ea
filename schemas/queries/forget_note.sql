-- What of one day is to be erased, noted in `forgetting` (see 0003_proof.sql). A person's rows of the day; with them
-- every row and tombstone of the spans they are and of those they absorbed, unless such a span stands in the ledger as a
-- call of somebody else; and the hours of all that.
INSERT INTO forgetting
WITH
    reported AS
    (
        SELECT trace_id, span_id, version, absorbed_spans
        FROM llm_costs
        WHERE toDate(timestamp) = {day:Date}
          AND {column:Identifier} IN {names:Array(String)}
          AND ({any_tenant:UInt8} OR tenant_id IN {tenants:Array(String)})
          AND (timestamp <= fromUnixTimestamp64Micro({until:Int64}, 'UTC') OR ingested_at <= fromUnixTimestamp64Micro({until:Int64}, 'UTC'))
    ),
    theirs AS
    (
        SELECT trace_id, span_id FROM reported
        UNION DISTINCT
        SELECT splitByChar(':', absorbed)[1], splitByChar(':', absorbed)[2]
        FROM (SELECT arrayJoin(absorbed_spans) AS absorbed FROM reported)
    ),
    of_others AS
    (
        SELECT trace_id, span_id
        FROM calls
        WHERE toDate(timestamp) BETWEEN {day:Date} - 1 AND {day:Date} + 1
          AND (trace_id, span_id) IN (SELECT trace_id, span_id FROM theirs)
          AND NOT ({column:Identifier} IN {names:Array(String)} AND ({any_tenant:UInt8} OR tenant_id IN {tenants:Array(String)}))
    ),
    erased AS
    (
        SELECT trace_id, span_id FROM theirs WHERE (trace_id, span_id) NOT IN (SELECT trace_id, span_id FROM of_others)
    )
SELECT 'span', trace_id, span_id, toUInt64(0), toUInt32(0), '' FROM erased
UNION ALL
SELECT 'row', trace_id, span_id, version, toUInt32(0), '' FROM reported
UNION ALL
SELECT DISTINCT 'hour', '', '', toUInt64(0), toUInt32(toUnixTimestamp(toStartOfHour(timestamp))), ''
FROM llm_costs
WHERE toDate(timestamp) BETWEEN {day:Date} - 1 AND {day:Date} + 1
  AND ((trace_id, span_id) IN (SELECT trace_id, span_id FROM erased)
       OR (trace_id, span_id, version) IN (SELECT trace_id, span_id, version FROM reported))
