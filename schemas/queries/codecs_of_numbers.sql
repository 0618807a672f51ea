-- The columns of calls that hold one number or time a row and are compressed with this codec.
SELECT name, compression_codec
FROM system.columns
WHERE database = currentDatabase() AND table = 'llm_costs' AND position(compression_codec, {codec:String}) > 0
  AND NOT match(type, 'String|Array|Map')
