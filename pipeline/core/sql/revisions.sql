-- Days whose number the platform changed after it had told it: lowered at any time, or raised (or told
-- for the first time) although the day was over when the item was last observed. Carried items were
-- told nothing, and a day that left the window was not revised.
WITH found AS (
{% for counter in counters %}
    SELECT
        now.item_id,
        now.title,
        '{{ counter }}' AS counter,
        now.told.day AS day,
        before.told AS before,
        now.told.told AS after
    FROM (
        SELECT item_id, title, unnest("{{ counter }}_days") AS told
        FROM read_parquet($current, hive_partitioning = false)
        WHERE status <> 'carried' AND "{{ counter }}" IS NOT NULL
    ) AS now
    JOIN (
        SELECT item_id, last_observed_at
        FROM read_parquet($previous, hive_partitioning = false)
        WHERE "{{ counter }}_days" IS NOT NULL
    ) AS known USING (item_id)
    LEFT JOIN (
        SELECT item_id, unnest("{{ counter }}_days", recursive := true)
        FROM read_parquet($previous, hive_partitioning = false)
    ) AS before ON before.item_id = now.item_id AND before.day = now.told.day
    WHERE now.told.told < before.told
        OR (
            now.told.told > coalesce(before.told, 0)
            AND (now.told.day + 1)::TIMESTAMP AT TIME ZONE 'UTC' <= known.last_observed_at
        )
{% if not loop.last %}
    UNION ALL
{% endif %}
{% endfor %}
)
SELECT item_id, title, counter, day, before, after
FROM found
ORDER BY abs(after - coalesce(before, 0)) DESC, item_id, counter, day
