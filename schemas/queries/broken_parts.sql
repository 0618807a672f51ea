SELECT name FROM system.detached_parts WHERE database = {database:String} AND reason LIKE 'broken%' ORDER BY name
