-- While a day is copied to the label '': the copies are not seen yet.
CREATE OR REPLACE VIEW calls AS
SELECT * EXCEPT (agent_partition, is_deleted)
       REPLACE (mapFilter((name, value) -> NOT startsWith(name, 'spanledger.price.'), attributes) AS attributes)
FROM llm_costs FINAL
WHERE NOT (toDate(timestamp) = {day:Day} AND agent_partition = '')
