-- Who books into this database: one collector at a time. A claim opens a generation; of several claims to one generation
-- the earliest counts, by the server's clock. Its holder lets `beat` grow; a standby takes over when that stops.
CREATE TABLE IF NOT EXISTS booking_lease
(
    generation UInt64 COMMENT 'grows with every holder; whoever has a lower one holds nothing any more',
    holder     String COMMENT 'made once for each data directory',
    beat       UInt64 COMMENT 'grows with every renewal; nobody compares clocks',
    released   Bool COMMENT 'given back: nobody needs to wait',
    claimed_us UInt64 DEFAULT toUnixTimestamp64Micro(now64(6)),
    renewed_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'for people; nothing is decided by it'
)
ENGINE = ReplacingMergeTree(beat)
ORDER BY (generation, holder)
TTL toDateTime(renewed_at) + INTERVAL 90 DAY;
