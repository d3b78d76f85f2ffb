"""Defines a whole config and reads it from a file.

The schema is the one source of names, types, ranges, defaults and help: `make docs` generates
`configs/default.yaml` and the tables in `docs/configuration.md` from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from schema.environment import EnvironmentConfig
from schema.errors import UserError
from schema.evaluation import EvaluationConfig
from schema.messages import section_errors
from schema.model import ModelConfig
from schema.section import Section, subsection
from schema.trainer import TrainerConfig
from schema.yaml_file import Document, KeyPath, read_yaml


class Config(Section):
    """A whole config."""

    environment: EnvironmentConfig = Field(
        EnvironmentConfig(), description="the environment, its observations and its levels"
    )
    model: ModelConfig = Field(ModelConfig(), description="the network and its checkpoints")
    evaluation: EvaluationConfig = Field(
        EvaluationConfig(), description="evaluation during training and by eval.py"
    )
    trainer: TrainerConfig = Field(TrainerConfig(), description="PPO and its hyperparameters")

    def resolved(self, has_images: bool, device: str = "cpu") -> Config:
        """Return the config with null and auto resolved; see `ModelConfig.resolved`."""
        return self.model_copy(update={"model": self.model.resolved(has_images, device)})

    def as_dict(self) -> dict[str, Any]:
        """Return every key and value, named as in a YAML file."""
        return self.model_dump(by_alias=True)


def load_config(path: Path) -> Config:
    """Read a config, complete it with defaults and validate it.

    Raises:
        UserError: one line per error, with file, line, key, the fault and how to mend it.
    """
    document = read_config(path)
    return validate_config(document.data, document)


def read_config(path: Path) -> Document:
    """Read a config without validating it; an empty section counts as left out.

    Raises:
        UserError: the file isn't valid YAML.
    """
    document = read_yaml(path)
    _drop_empty_sections(document.data, Config)
    return document


def _drop_empty_sections(data: dict[str, Any], section: type[Section]) -> None:
    for key in list(data):
        inner = subsection(section, key)
        if inner is not None and isinstance(data[key], dict):
            _drop_empty_sections(data[key], inner)
        elif inner is not None and data[key] is None:
            del data[key]


def validate_config(data: dict[str, Any], document: Document) -> Config:
    """Return the config that `data` describes; error messages name places in `document`.

    Raises:
        UserError: as `load_config`.
    """
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        found = sorted(config_errors(error), key=lambda item: document.line(item[0]))
        raise UserError(
            f"{document.where(key_path)}: {'.'.join(key_path)}: {message}"
            for key_path, message in found
        ) from None


def config_errors(error: ValidationError, combinations: bool = True) -> list[tuple[KeyPath, str]]:
    """Return the key and the message of each validation error; see `section_errors`."""
    return section_errors(error, Config, combinations)
