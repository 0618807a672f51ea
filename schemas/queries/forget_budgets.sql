ALTER TABLE llm_budgets
DELETE WHERE scope = 'customer' AND name IN (SELECT name FROM forgetting WHERE kind = 'name')
  AND ({any_tenant:UInt8} OR tenant_id IN {tenants:Array(String)})
