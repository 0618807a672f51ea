-- Tables with parts, and how many rows these say they have.
SELECT table, toUInt64(sum(rows)) FROM system.parts WHERE database = {database:String} AND active GROUP BY table ORDER BY table
