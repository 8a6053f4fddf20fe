"""The steps in their order. A further one is a function of a Rehearsal, and a Step in its place here."""

from __future__ import annotations

from pipeline_tests.rehearsal import deploying, upgrading
from pipeline_tests.rehearsal.rehearsal import Rehearsal
from pipeline_tests.rehearsal.steps import MACHINE, OWNER, RELEASER, Step

_NOTHING = "Nothing to undo: production is not touched."

LONG: tuple[Step[Rehearsal], ...] = (
    Step(
        "copy the configuration",
        OWNER,
        "Every source is copied, and every variable that it names has a value of staging.",
        _NOTHING,
        deploying.copy_configuration,
    ),
    Step(
        "verify the staging configuration",
        OWNER,
        "`ratchet source check` of the version to be released calls every source good, as copied and as staged.",
        "Mend the YAML; or set `STAGING_NAME` where the variable `NAME` needs a value of a certain form.",
        deploying.verify_configuration,
    ),
    Step(
        "install from the lock",
        RELEASER,
        "`make setup` of a clean checkout ends well in a new environment, and pip finds no conflict.",
        "Take the lock of the last release: `git checkout TAG -- requirements.lock pyproject.toml`.",
        deploying.install,
    ),
    Step(
        "start the deployment",
        MACHINE,
        "Code server, daemon and webserver run as processes of their own, all daemons are healthy, definitions load.",
        _NOTHING,
        deploying.start,
    ),
    Step(
        "materialise the current hour",
        RELEASER,
        "A run of every source, launched through GraphQL, ends with success.",
        _NOTHING,
        deploying.materialise,
    ),
    Step(
        "check the integration",
        RELEASER,
        "GraphQL shows assets and checks of the hour as good, the lake has its files, the message has arrived.",
        _NOTHING,
        deploying.check_integration,
    ),
    Step(
        "let the previous version record",
        RELEASER,
        "The previous version makes a lake and an instance of its own.",
        "Name another version: `PREVIOUS=REF`.",
        upgrading.begin_with_previous,
    ),
    Step(
        "upgrade",
        MACHINE,
        "The present version shows and reads the old hours unchanged, records the current one, and the lake is sound.",
        "Do not release. In production: *Going back*, below.",
        upgrading.upgrade,
    ),
    Step(
        "roll back",
        MACHINE,
        "The previous version reads what the present one wrote and goes on, or refuses in plain words.",
        "Say in CHANGELOG.md that the way back is the copy of `data/` made before the upgrade.",
        upgrading.roll_back,
    ),
)
SHORT = tuple(
    step for step in LONG if step.play not in (deploying.start, deploying.materialise, deploying.check_integration)
)
"""What the upgrade does once more anyway, on a lake with a past, is left out."""
