"""How YAML spells out the policy of a counter: in a source's own file, and where an endpoint is described."""

from __future__ import annotations

from pydantic import BaseModel, Field, model_validator

from pipeline.core.policy import Policy, Trend

TOLERANCE_IN_FULL = "the policy 'tolerance' is written {policy: tolerance, tolerance: 0.01}"


class CounterSpec(BaseModel, extra="forbid", allow_inf_nan=False):
    """How one counter may move, and whether the platform may leave it out."""

    policy: Trend = Field(description="never_decreases, tolerance, may_decrease, or gauge for a value")
    tolerance: float | None = Field(
        default=None, gt=0, lt=1, description="share of the highest accepted value that it may fall below"
    )
    optional: bool = Field(default=False, description="an item may lack this counter; it is missing then, not 0")

    @property
    def as_policy(self) -> Policy:
        """The same in the core's words. Of a counter without a tolerance it is 0: no fall at all."""
        return Policy(self.policy, self.tolerance or 0.0)

    @model_validator(mode="after")
    def _tolerance_has_a_share(self) -> CounterSpec:
        if (self.policy is Trend.TOLERANCE) != (self.tolerance is not None):
            raise ValueError(TOLERANCE_IN_FULL)
        return self
