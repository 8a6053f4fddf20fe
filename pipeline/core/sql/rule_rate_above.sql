-- Rates above the threshold, of items for which the rule is not firing already.
{% include "rule_counter.sql" %}
, rates AS (
    SELECT item_id, gain * $per_seconds / nullif(elapsed_seconds, 0) AS rate
    FROM moved
)
SELECT item_id, $threshold AS threshold, rate AS value, NULL AS previous_value
FROM rates
ANTI JOIN silent USING (item_id)
WHERE rate > $threshold
ORDER BY rate DESC, item_id
