-- The last versions written of these hours.
SELECT
    (
        SELECT max(version)
        FROM llm_costs_hourly
        WHERE hour >= toDateTime({first:UInt32}, 'UTC') AND hour <= toDateTime({last:UInt32}, 'UTC')
    ),
    (
        SELECT max(version)
        FROM llm_costs_hourly_customer
        WHERE hour >= toDateTime({first:UInt32}, 'UTC') AND hour <= toDateTime({last:UInt32}, 'UTC')
    )
