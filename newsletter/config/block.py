"""What all blocks of settings share."""

from pydantic import BaseModel, ConfigDict


class Block(BaseModel):
    """A block of settings: no others than these, and no value taken for another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)
