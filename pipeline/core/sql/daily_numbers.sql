-- What was told of each day of each item over all snapshots: the highest number, and the last one.
WITH held AS (
    SELECT * FROM read_parquet($files, union_by_name = true, hive_partitioning = false)
    UNION ALL BY NAME
    -- No row, only a type: where no file tells days, there are none.
    SELECT NULL::STRUCT("day" DATE, highest BIGINT, told BIGINT)[] AS "{{ counters[0] }}_days" WHERE false
),
told AS (
    SELECT item_id, captured_at, unnest("{{ counters[0] }}_days", recursive := true)
    FROM held
)
SELECT item_id, "day", max(highest) AS highest, arg_max(told, captured_at) AS told
FROM told
GROUP BY item_id, "day"
ORDER BY item_id, "day"
