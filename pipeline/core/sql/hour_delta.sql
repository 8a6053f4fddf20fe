-- One hour: the observed items of the current snapshot beside their rows in the previous one.
-- Every item of the source stands in the previous file, carried or observed, so no older file is read.
WITH previous AS (
{% if has_previous %}
    SELECT * FROM read_parquet($previous, hive_partitioning = false)
    UNION ALL BY NAME
{% endif %}
    -- No row, only types: a counter that the previous file lacks reads null.
    SELECT
{% for counter in counters %}
        NULL::BIGINT AS "{{ counter }}",
{% endfor %}
        NULL::VARCHAR AS item_id,
        NULL::TIMESTAMPTZ AS last_observed_at
    WHERE false
),
paired AS (
    SELECT
        item_id,
        seen.captured_at,
        seen.published_at,
        previous.last_observed_at AS previous_captured_at,
        {{ "$first_accepted_at" if has_previous else "NULL" }}::TIMESTAMPTZ AS _first_accepted_at,
{% for counter in counters %}
        seen."{{ counter }}",
        previous."{{ counter }}" AS "_previous_{{ counter }}",
{% endfor %}
        0 AS _place
    FROM read_parquet($current, hive_partitioning = false) AS seen
    LEFT JOIN previous USING (item_id)
    WHERE seen.status <> 'carried'
),
{% include "change.sql" %}
ORDER BY item_id
