-- Items for which the rule was firing and whose rate is known and low enough to arm it again.
{% include "rule_counter.sql" %}
SELECT item_id
FROM moved
SEMI JOIN silent USING (item_id)
WHERE gain * $per_seconds / nullif(elapsed_seconds, 0) < $rearm_below
