"""What the whole history of a source says, as assets without partitions, a job and a daily schedule.

They stand in a group of their own: a capture waits for none of it, and "Materialize all" of a source stays
the four assets of an hour.
"""

from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from pipeline.core.analysis.first_hours import AGES, YARDSTICK_HOURS, FirstHours, Spread, first_hours, sentences
from pipeline.core.analysis.happenings import happenings
from pipeline.core.analysis.spikes import TIMES, spikes
from pipeline.core.analysis.watched import read_watched
from pipeline.core.model import Source
from pipeline.core.project import Project
from pipeline.failures import failing_loudly
from pipeline.graph import REPORT, SOURCE_TAG, asset_key, asset_owners, asset_tags
from pipeline.metadata import Metadata, rows_table, spikes_table
from pipeline.resources import LAKE
from pipeline.site.build import cache_folder

FIRST_HOURS, SPIKES = "first_36_hours", "spikes"


@dataclass(frozen=True)
class LongView:
    """What a source's definitions take in."""

    assets: list[dg.AssetsDefinition]
    job: UnresolvedAssetJobDefinition
    schedule: dg.ScheduleDefinition


def build_long_view(source: Source) -> LongView:
    """The long view of one source, whose schedule ticks at 3 o'clock (UTC), half an hour off its captures."""
    common: dict[str, Any] = {
        "deps": [asset_key(source, REPORT)],
        "group_name": f"{source.name}_long_view",
        "kinds": {"duckdb"},
        "owners": asset_owners(source),
        "tags": asset_tags(source),
        "required_resource_keys": {LAKE},
    }
    assets = [_first_36_hours(source, common), _all_spikes(source, common)]
    job = dg.define_asset_job(
        f"{source.name}_long_view",
        selection=dg.AssetSelection.assets(*assets),
        description=f"What the whole history of {source.name} says; once a day.",
        tags={SOURCE_TAG: source.name},
    )
    schedule = dg.ScheduleDefinition(
        name=f"{source.name}_daily",
        job=job,
        cron_schedule=f"{(source.minute + 30) % 60} 3 * * *",
        execution_timezone="UTC",
        description="Half an hour away from the captures of the source.",
        default_status=dg.DefaultScheduleStatus.RUNNING if source.enabled else dg.DefaultScheduleStatus.STOPPED,
    )
    return LongView(assets, job, schedule)


def _first_36_hours(source: Source, common: dict[str, Any]) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(source, FIRST_HOURS),
        description="How fast the count of an item arrives after its publication, over all items that were published "
        "while the source was watched: the share of its count so far by age, and when its rate has faded.",
        **common,
    )
    def first_36_hours(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        lake = context.resources.lake.source(source.name)
        with failing_loudly():
            watched = read_watched(lake, cache_folder(Project.here(), source.name))
            found = first_hours(watched, watched.counters[0])
        return dg.MaterializeResult(metadata=first_hours_metadata(found))

    return first_36_hours


def _all_spikes(source: Source, common: dict[str, Any]) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(source, SPIKES),
        description=f"Every stretch in which an item, or all together, gained at least {TIMES:g} times the usual, and "
        "what was published or marked in the hours before it.",
        **common,
    )
    def all_spikes(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        lake = context.resources.lake.source(source.name)
        with failing_loudly():
            watched = read_watched(lake, cache_folder(Project.here(), source.name))
            found = spikes(watched, watched.counters[0], happenings(lake, watched))
        metadata: Metadata = {"spikes": len(found), "counter": watched.counters[0]}
        return dg.MaterializeResult(metadata=metadata | ({"newest": spikes_table(found)} if found else {}))

    return all_spikes


def first_hours_metadata(found: FirstHours) -> Metadata:
    """Sentences, numbers that plot over time, and tables by age and by item; what is withheld has no number."""
    metadata: Metadata = {
        "in_words": "\n".join(sentences(found)),
        "items": len(found.items),
        "items_left_out": sum(found.excluded.values()),
        "by_age": rows_table(_age_row(found, age) for age in AGES),
    }
    if found.items:
        metadata["by_item"] = rows_table(
            {
                "item": aged.item.title,
                found.counter: aged.total,
                "age_days": round(aged.age / 24, 1),
                "half_after_hours": aged.half and round(aged.half.estimate, 1),
                "faded_after_hours": aged.faded and round(aged.faded.estimate, 1),
            }
            for aged in sorted(found.items, key=lambda aged: aged.age)
        )
    return metadata | _numbers(found)


def _age_row(found: FirstHours, age: int) -> dict[str, float | int | None]:
    spread = found.shares[age]
    shares = (None, None, None) if spread is None else (spread.lower, spread.median, spread.upper)
    names = ("lower_quartile", "median", "upper_quartile")
    rounded = [None if share is None else round(share, 3) for share in shares]
    return {"age_hours": age, "items": found.covered[age], **dict(zip(names, rounded, strict=True))}


def _numbers(found: FirstHours) -> Metadata:
    spreads: dict[str, Spread | None] = {
        "half_after_hours": found.half,
        "faded_after_hours": found.faded,
        f"share_after_{YARDSTICK_HOURS}_hours": found.shares[YARDSTICK_HOURS],
    }
    return {name: round(spread.median, 3) for name, spread in spreads.items() if spread is not None}
