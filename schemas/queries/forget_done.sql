TRUNCATE TABLE forgetting
