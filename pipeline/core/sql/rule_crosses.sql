-- Milestones between the highest accepted value before and the highest now. The highest never falls,
-- so a dip and its return cross nothing twice.
{% include "rule_counter.sql" %}
, before AS (
    SELECT * FROM read_parquet($previous, hive_partitioning = false)
    UNION ALL BY NAME
    -- No row, only a type: where the counter is new to the source, its highest value before reads null.
    SELECT NULL::BIGINT AS "{{ counters[0] }}_max" WHERE false
),
bounds AS (
    SELECT
        moved.item_id,
        moved.value,
        moved.previous_value,
        now."{{ counters[0] }}_max" AS highest,
        CASE
            WHEN before.item_id IS NOT NULL THEN before."{{ counters[0] }}_max"
            -- First seen: it counts from zero where its delta does.
            WHEN moved.gain IS NOT NULL THEN 0
        END AS highest_before
    FROM moved
    JOIN read_parquet($current, hive_partitioning = false) AS now USING (item_id)
    LEFT JOIN before USING (item_id)
),
climbed AS (
    SELECT * FROM bounds WHERE highest > highest_before
)
SELECT item_id, threshold, value, previous_value
FROM climbed
JOIN (SELECT unnest($thresholds) AS threshold) ON threshold > highest_before AND threshold <= highest
ORDER BY threshold, value DESC, item_id
