{# From the CTE "paired" (an observed item beside what was known of it before) to the columns of a delta.
   An item never seen before counts from zero since its publication, if that came after the first
   accepted capture of the source; what it had before that capture nobody observed.
   Names that begin with "_" can never be those of a counter. #}
since AS (
    SELECT
        *,
        CASE
            WHEN previous_captured_at IS NOT NULL THEN previous_captured_at
            WHEN published_at > _first_accepted_at AND published_at <= captured_at THEN published_at
        END AS _counted_from
    FROM paired
),
measured AS (
    SELECT
        item_id,
        captured_at,
        previous_captured_at,
        (epoch_us(captured_at) - epoch_us(_counted_from)) / 1e6 AS elapsed_seconds,
{% for counter in counters %}
        "{{ counter }}",
        "{{ counter }}" - CASE
            WHEN previous_captured_at IS NOT NULL THEN "_previous_{{ counter }}"
            WHEN _counted_from IS NOT NULL THEN 0
        END AS "{{ counter }}_delta",
{% endfor %}
        _place
    FROM since
)
SELECT
    item_id,
    captured_at,
    previous_captured_at,
    elapsed_seconds,
{% for counter in counters %}
    "{{ counter }}",
    "{{ counter }}_delta",
    "{{ counter }}_delta" * 36e2 / nullif(elapsed_seconds, 0) AS "{{ counter }}_per_hour",
{% endfor %}
FROM measured
