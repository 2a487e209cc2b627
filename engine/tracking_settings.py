"""What the config says about MLflow. Apart from `engine.tracking`, so that reading a config never comes near mlflow."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _store_uri(uri: str) -> str:
    """Check an address while the config is read: a typo found only after the run would cost the whole run."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https", "sqlite"):
        raise ValueError("must start with http://, https:// or sqlite:///")
    if parts.scheme != "sqlite" and not parts.hostname:
        raise ValueError("names no host")
    if parts.username is not None:
        raise ValueError(
            "must not hold a user or password; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
        )
    return uri


class TrackingSettings(BaseModel):
    """Where runs are recorded."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    enabled: bool = True
    """Record the run in MLflow. Off: nothing is recorded and nothing waits to be sent."""

    uri: Annotated[str, AfterValidator(_store_uri)] | None = None
    """Address of an MLflow server (http, https) or database (sqlite). Null: a SQLite database under ``output``."""

    experiment: str = Field(default="forecast", min_length=1, max_length=500)
    """Name of the MLflow experiment that the runs of one question share."""

    share_rep_data: bool = False
    """Send the run folder, which has rows about single reps, to a remote server too. Aggregates always go."""

    @property
    def is_remote(self) -> bool:
        """Whether the store is a server rather than a database beside the runs."""
        return self.uri is not None and self.uri.startswith(("http://", "https://"))
