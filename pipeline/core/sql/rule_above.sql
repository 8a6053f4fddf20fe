-- Items whose observed value is above the threshold.
{% include "rule_counter.sql" %}
SELECT item_id, $threshold AS threshold, value, previous_value
FROM moved
ANTI JOIN silent USING (item_id)
WHERE value > $threshold
ORDER BY value DESC, item_id
