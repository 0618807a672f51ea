-- When the first and the last call of the store were made, for a report that found nothing.
SELECT count() AS calls, toString(min(timestamp)) AS first, toString(max(timestamp)) AS last FROM calls
