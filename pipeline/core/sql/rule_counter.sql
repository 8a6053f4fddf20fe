{# The counter of one rule in the delta of the hour, under names that are the same for every counter. #}
WITH moved AS (
    SELECT
        item_id,
        "{{ counters[0] }}" AS value,
        "{{ counters[0] }}_delta" AS gain,
        "{{ counters[0] }}" - "{{ counters[0] }}_delta" AS previous_value,
        elapsed_seconds
    FROM delta
)
