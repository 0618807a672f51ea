-- The last run with this book that did not come to its end and has something of [first, ...) behind it.
SELECT run_id, toUnixTimestamp64Micro(range_from), toUnixTimestamp64Micro(done_until), calls, calls_changed
FROM reprice_runs FINAL
WHERE price_book = {book:String}
  AND NOT is_finished
  AND range_from <= fromUnixTimestamp64Micro({first:Int64}, 'UTC')
  AND done_until > fromUnixTimestamp64Micro({first:Int64}, 'UTC')
  AND done_until <= fromUnixTimestamp64Micro({last:Int64}, 'UTC')
  -- a run with another book since then makes an older one's progress worthless
  AND noted_at > (SELECT max(noted_at) FROM reprice_runs FINAL WHERE price_book != {book:String})
ORDER BY done_until DESC
LIMIT 1
