-- The claim that counts.
SELECT generation, holder, beat, released, claimed_us
FROM booking_lease FINAL
WHERE generation = (SELECT max(generation) FROM booking_lease)
ORDER BY claimed_us, holder
LIMIT 1
