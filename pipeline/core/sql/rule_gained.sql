-- Items that gained the threshold since they were last observed, in units or as a share of what they had.
{% include "rule_counter.sql" %}
SELECT item_id, $threshold AS threshold, value, previous_value
FROM moved
ANTI JOIN silent USING (item_id)
{% if share %}
WHERE previous_value > 0 AND gain / previous_value >= $threshold
{% else %}
WHERE gain >= $threshold
{% endif %}
ORDER BY value DESC, item_id
