-- What was spent in [start, end), by one dimension, beside the period before it, [before_start, before_end).
-- Instants are microseconds since 1970 UTC. The dimension `everything` gives the total in one row.
-- An unknown cost is NULL and is counted as unpriced unless nothing was billed; it adds nothing to a sum.
SELECT *, count() OVER () AS groups
FROM
(
    SELECT
        {by:Identifier} AS name,
        sumIf(cost_usd, NOT is_before) AS cost,
        countIf(NOT is_before) AS calls,
        countIf(NOT is_before AND cost_usd IS NOT NULL) AS priced,
        countIf(NOT is_before AND cost_usd IS NULL AND cost_status != 'not_billed') AS unpriced,
        sumIf(input_tokens, NOT is_before) AS tokens_in,
        sumIf(output_tokens, NOT is_before) AS tokens_out,
        sumIf(cost_usd, is_before) AS cost_before,
        countIf(is_before) AS calls_before
    FROM
    (
        SELECT
            '' AS everything,
            c.agent_id AS agent,
            multiIf(c.model != '', c.model, c.response_model != '', c.response_model, c.request_model) AS model,
            c.customer_id AS customer,
            c.team AS team,
            c.step AS step,
            c.feature AS feature,
            c.user_id AS user,
            c.session_id AS session,
            c.run_id AS run,
            c.provider AS provider,
            c.timestamp < fromUnixTimestamp64Micro({start:Int64}, 'UTC') AS is_before,
            -- a slot of time is compared with the same slot of the period before
            toTimeZone(
                if(is_before, c.timestamp + toIntervalMicrosecond({start:Int64} - {before_start:Int64}), c.timestamp),
                {tz:String}
            ) AS shown_at,
            formatDateTime(toStartOfHour(shown_at), '%Y-%m-%d %H:%i', {tz:String}) AS hour,
            formatDateTime(shown_at, '%Y-%m-%d', {tz:String}) AS day,
            c.cost_usd AS cost_usd,
            c.cost_status AS cost_status,
            c.input_tokens AS input_tokens,
            c.output_tokens AS output_tokens
        FROM calls AS c
        WHERE c.timestamp >= fromUnixTimestamp64Micro({before_start:Int64}, 'UTC')
          AND c.timestamp < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
          AND NOT (
              c.timestamp >= fromUnixTimestamp64Micro({before_end:Int64}, 'UTC')
              AND c.timestamp < fromUnixTimestamp64Micro({start:Int64}, 'UTC')
          )
    )
    GROUP BY name
    HAVING calls > 0
)
ORDER BY if({by_time:UInt8}, name, ''), cost DESC NULLS LAST, calls DESC, name
LIMIT {limit:UInt32}
