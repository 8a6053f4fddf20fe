"""An answer is read exactly, or refused in words: what prometheus_client's parsers swallow is not swallowed here."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
from prometheus_client.exposition import generate_latest as as_text
from prometheus_client.openmetrics.exposition import generate_latest as as_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as their_openmetrics
from prometheus_client.parser import text_string_to_metric_families as their_text

from pipeline.platforms.openmetrics.exposition import Sample, item_of, read, scaled
from pipeline.platforms.protocol import Unreadable


def by_item(body: bytes, *, openmetrics: bool = True) -> dict[str, Sample]:
    return {sample.item: sample for sample in read(body, openmetrics=openmetrics)}


def a_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    counted = Counter("requests", "With \\ and\nlines", ["path", "code"], registry=registry)
    counted.labels('/a "b" {c} \\ d\ne, f="g"', "200").inc(3)
    counted.labels("", "500").inc(2**40)
    Gauge("queue_size", "", registry=registry).set(-1.5)
    Histogram("took_seconds", "", ["kind"], registry=registry).labels("x").observe(0.3)
    Summary("sizes", "", registry=registry).observe(7)
    return registry


@pytest.mark.parametrize(
    ("write", "theirs", "openmetrics"), [(as_openmetrics, their_openmetrics, True), (as_text, their_text, False)]
)
def test_what_a_program_tells_is_read_as_the_library_reads_it(write: Any, theirs: Any, openmetrics: bool) -> None:
    body = write(a_registry())
    expected: dict[str, tuple[float, bool]] = {}
    created: dict[str, float] = {}
    for family in theirs(body.decode()):
        for sample in family.samples:
            item = item_of(sample.name, tuple(sorted(sample.labels.items())))
            if sample.name.endswith("_created"):
                created[item] = sample.value
            else:
                expected[item] = sample.value, family.type in ("counter", "histogram", "summary")
    found = by_item(body, openmetrics=openmetrics)
    assert {item: (float(sample.value), sample.cumulative) for item, sample in found.items()} == expected
    assert len(created) == 4
    epochs = sorted({sample.created for sample in found.values() if sample.created is not None})
    assert epochs == sorted({scaled(repr(value), 6)[0] for value in created.values()})  # type: ignore[index]
    assert all((sample.created is not None) == sample.cumulative for sample in found.values())


def test_the_library_drops_the_second_of_two_samples_and_this_refuses_both() -> None:
    body = b"# TYPE a counter\na_total 1\na_total 2\n# EOF\n"
    assert [s.value for family in their_openmetrics(body.decode()) for s in family.samples] == [1]
    with pytest.raises(Unreadable, match="line 3: a_total stands twice"):
        read(body, openmetrics=True)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "it is empty"),
        (b" \n\n", "it is empty"),
        (b"# EOF\n", "it holds no sample"),
        (b"a 1\n", "does not end with # EOF"),
        (b"a 1\n# EOF\nb 1\n# EOF\n", "goes on after # EOF"),
        (b"a 1\n# EO", "does not end with # EOF"),
        (b"# TYPE a counter\na_total NaN\n# EOF\n", "line 2: a_total is NaN or infinite"),
        (b"# TYPE a counter\na_total +Inf\n# EOF\n", "NaN or infinite"),
        (b"# TYPE a counter\na_total -1\n# EOF\n", "a_total is negative"),
        (b"# TYPE a histogram\na_sum -0.001\n# EOF\n", "a_sum is negative"),
        (b"# TYPE a counter\na_total 1\na_created NaN\n# EOF\n", "a_created is NaN"),
        (b'a{x="1",y="2"} 1\na{y="2",x="1"} 1\n# EOF\n', "stands twice"),
        (b"a 1 1\na 2 2\n# EOF\n", "stands twice"),
        (b"# TYPE a counter\na 1\n# EOF\n", "a is no name of a sample of the type counter"),
        (b"# TYPE a counter\n# TYPE a gauge\na 1\n# EOF\n", "declared twice"),
        (b"a_total 1\n# TYPE a counter\n# EOF\n", "declared after its samples"),
        (b"# TYPE a counter\n# TYPE a_total gauge\na_total 1\n# EOF\n", "belongs to two families"),
        (b"# TYPE a thing\na 1\n# EOF\n", "a type is declared that there is not"),
        (b"a one\n# EOF\n", "the value of a is not a number"),
        (b"a 1_000\n# EOF\n", "not a number"),
        (b"a 0x10\n# EOF\n", "not a number"),
        (b"a \xd9\xa1\n# EOF\n", "not a number"),
        (b"a\n# EOF\n", "it is no sample"),
        (b"a 1 soon\n# EOF\n", "it is no sample"),
        (b'a{x="1" 1\n# EOF\n', "it is no sample"),
        (b'a{x="1"y="2"} 1\n# EOF\n', "its labels cannot be read"),
        (b'a{x="1",x="2"} 1\n# EOF\n', "one of its labels stands twice"),
        (b'{x="1"} 1\n# EOF\n', "a sample without a name"),
        (b'a{x="' + b"y" * 2000 + b'"} 1\n# EOF\n', "more than 1,000 characters"),
        (b"a \xff\n# EOF\n", "not UTF-8"),
        (b'{"error": "made up"}\n# EOF\n', "it is no sample"),
    ],
)
def test_a_doubtful_answer_is_refused_in_words(body: bytes, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        read(body, openmetrics=True)


def test_the_older_format_has_to_end_its_last_line() -> None:
    assert by_item(b"# TYPE a counter\na 1\n\n# a comment\nb 2\n", openmetrics=False)["a"].cumulative
    with pytest.raises(Unreadable, match="its last line is not ended"):
        read(b"# TYPE a counter\na 1", openmetrics=False)


def test_a_name_in_quotation_marks_an_exemplar_and_a_timestamp_are_read() -> None:
    body = b'{"my.name","la.bel"="x"} 5\n# TYPE b counter\nb_total 1 1.5 # {id="}"} 0.5 1.5\n# EOF\n'
    assert {item: sample.value for item, sample in by_item(body).items()} == {
        'my.name{la.bel="x"}': "5",
        "b_total": "1",
    }


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=0, max_value=10**12), st.integers(0, 6))
def test_numbers_are_scaled_by_their_digits(number: Decimal, decimals: int) -> None:
    for written in (str(number), f"{number:e}", f"{number:E}"):
        expected = number * 10**decimals
        assert scaled(written, decimals) == (int(expected), expected == int(expected))


@pytest.mark.parametrize(
    ("written", "decimals", "expected"),
    [
        ("9007199254740993", 0, (9007199254740993, True)),
        ("9.007199254740993e+15", 0, (9007199254740993, True)),
        ("9223372036854775807", 0, (2**63 - 1, True)),
        ("9223372036854775808", 0, None),
        ("1e999999999999", 0, None),
        ("0e999999999999", 0, (0, True)),
        ("1e-999999999999", 3, (0, False)),
        ("0.30000000000000004", 17, (30000000000000004, True)),
        ("1" * 100, 0, None),
        ("NaN", 0, None),
    ],
)
def test_no_digit_is_lost_and_no_exponent_is_multiplied_out(
    written: str, decimals: int, expected: tuple[int, bool] | None
) -> None:
    assert scaled(written, decimals) == expected


SOUND = as_openmetrics(a_registry())


@settings(max_examples=300)
@given(st.integers(0, len(SOUND)), st.integers(0, 30), st.binary(max_size=12), st.booleans())
def test_a_bent_answer_is_read_or_refused_and_nothing_else(at: int, cut: int, put: bytes, openmetrics: bool) -> None:
    bent = SOUND[:at] + put + SOUND[at + cut :]
    try:
        found = read(bent, openmetrics=openmetrics)
    except Unreadable:
        return
    assert len({sample.item for sample in found}) == len(found) > 0
    assert not any(sample.cumulative and sample.value.startswith("-") and float(sample.value) for sample in found)


@settings(max_examples=200)
@given(st.text('a{}"\\=,# \n1.eE+-NTYPEOF', max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    for openmetrics in (True, False):
        try:
            read(text.encode(), openmetrics=openmetrics)
        except Unreadable as refused:
            assert str(refused)
