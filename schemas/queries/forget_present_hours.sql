-- Hours with calls of a person that were made since.
SELECT DISTINCT toUInt32(toUnixTimestamp(toStartOfHour(timestamp)))
FROM llm_costs
WHERE {column:Identifier} IN {names:Array(String)} AND ({any_tenant:UInt8} OR tenant_id IN {tenants:Array(String)})
