-- Every row of some snapshots with what analysis needs of it, in order of time.
SELECT
    captured_at,
    item_id,
    title,
    status,
{% for counter in counters %}
    "{{ counter }}",
{% endfor %}
FROM (
    SELECT * FROM read_parquet($files, union_by_name = true, hive_partitioning = false)
    UNION ALL BY NAME
    -- No row, only types: a counter that every file lacks reads null.
    SELECT
{% for counter in counters %}
        NULL::BIGINT AS "{{ counter }}",
{% endfor %}
    WHERE false
)
{% if chosen %}
WHERE item_id IN (SELECT unnest($chosen))
{% endif %}
ORDER BY captured_at, item_id
