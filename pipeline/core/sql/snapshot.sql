-- The accepted snapshot: every item of the source, those of the listing and those it lacked.
-- `listing` is the capture; `previous` the accepted snapshot before it.
with joined as (
  select
    coalesce(now.item_id, before.item_id) as item_id,
    coalesce(now.title, before.title) as title,
    coalesce(now.url, before.url) as url,
    coalesce(now.published_at, before.published_at) as published_at,
    now.item_id is not null as listed,
    before.last_observed_at as last_observed_before
    {% if feed %}
    , now.feed_state as feed_state_now
    {% endif %}
    {% for counter in counters %}
    , now."{{ counter.name }}" as {{ counter.name }}_now
    , {{ 'before."' ~ counter.name ~ '"' if counter.name in known else 'null::bigint' }} as {{ counter.name }}_before
    , {{ 'before.' ~ counter.name ~ '_max' if counter.name ~ '_max' in known else 'null::bigint' }} as {{ counter.name }}_max_before
    , {{ 'before.' ~ counter.name ~ '_peak' if counter.name ~ '_peak' in known else 'null::bigint' }} as {{ counter.name }}_peak_before
    {% if counter.name in windows %}
    , now."{{ counter.name }}_days" as {{ counter.name }}_days_now
    , {{ 'before."' ~ counter.name ~ '_days"' if counter.name ~ '_days' in known else 'null' }} as {{ counter.name }}_days_before
    {% endif %}
    {% endfor %}
  from listing as now
  {% if known %}
  full outer join read_parquet($previous, hive_partitioning = false) as before using (item_id)
  {% else %}
  left join (select *, null::timestamptz as last_observed_at from listing where false) as before using (item_id)
  {% endif %}
), judged as (
  select *,
    listed and ($overruled or list_contains($lowered::varchar[], item_id)) and (false
    {% for counter in counters if counter.policy.trend not in ('may_decrease', 'gauge') %}
      or coalesce({{ counter.name }}_now < {{ counter.name }}_before, false)
    {% endfor %}) as corrected
  from joined
)
select
  item_id, title, url, published_at,
  $captured_at::timestamptz as captured_at,
  case when corrected then 'corrected' when listed then 'observed' else 'carried' end as status,
  case when listed then $captured_at::timestamptz else last_observed_before end as last_observed_at,
  $checks_version::varchar as checks_version
  {% if feed %}
  , feed_state_now as feed_state
  {% endif %}
  {% for counter in counters %}
  , case when listed then {{ counter.name }}_now else {{ counter.name }}_before end as "{{ counter.name }}"
  , greatest({{ counter.name }}_now, {{ counter.name }}_max_before) as {{ counter.name }}_max
  {% if counter.policy.trend == 'tolerance' %}
  , case when corrected then {{ counter.name }}_now
         else greatest({{ counter.name }}_now, coalesce({{ counter.name }}_peak_before, {{ counter.name }}_before))
    end as {{ counter.name }}_peak
  {% endif %}
  {% if counter.name in windows %}
  -- An item that was told no window keeps the days that its next one goes on from.
  , coalesce({{ counter.name }}_days_now, {{ counter.name }}_days_before) as {{ counter.name }}_days
  {% endif %}
  {% endfor %}
from judged
order by item_id
