-- A stretch of history: each row of an item beside the item's row in the file before.
-- A file holds every item that an earlier one held, so the row before is in the file before. Carried
-- rows take part in the LAG and leave only after it: they hold the state that the next file sees.
-- Files captured at the same instant follow each other as they were named.
WITH held AS (
    SELECT *, file_index AS _place
    FROM read_parquet($files, union_by_name = true, hive_partitioning = false)
    UNION ALL BY NAME
    -- No row, only types: a counter that every file lacks reads null.
    SELECT
{% for counter in counters %}
        NULL::BIGINT AS "{{ counter }}",
{% endfor %}
    WHERE false
),
followed AS (
    SELECT
        item_id,
        captured_at,
        published_at,
        status,
        _place,
        lag(last_observed_at) OVER history AS previous_captured_at,
{% for counter in counters %}
        "{{ counter }}",
        lag("{{ counter }}") OVER history AS "_previous_{{ counter }}",
{% endfor %}
    FROM held
    WINDOW history AS (PARTITION BY item_id ORDER BY captured_at, _place)
),
paired AS (
    SELECT *, (SELECT min(captured_at) FROM held) AS _first_accepted_at
    FROM followed
    WHERE status <> 'carried'
),
{% include "change.sql" %}
ORDER BY captured_at, _place, item_id
