ALTER TABLE llm_costs_hourly_customer
DELETE WHERE customer_id IN (SELECT name FROM forgetting WHERE kind = 'name')
  AND ({any_tenant:UInt8} OR tenant_id IN {tenants:Array(String)})
