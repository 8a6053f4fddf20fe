-- What the items that a rule fired for are called, and where they are.
SELECT item_id, title, url
FROM read_parquet($current, hive_partitioning = false)
SEMI JOIN fired USING (item_id)
