"""The schema of a config: the one source of its names, types, ranges, defaults and help.

`load_config` reads a YAML file against it; `configs/default.yaml` and the table in
`docs/configuration.md` are generated from it (`make docs`).
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from annotated_types import Len
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from errors import UserError
from yaml_file import Document, KeyPath, read_yaml

_COMBINATION: Final = "combination"  # the type of errors that a whole section's check finds


class Section(BaseModel):
    """A section of the config: unknown keys are errors, and text is never taken for a number."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        validate_by_alias=True,
        validate_by_name=False,
        protected_namespaces=(),
    )


class LevelSeeds(Section):
    """A range of seeds, each of which generates one level (or one start) of the environment."""

    start_seed: int = Field(
        0, ge=0, lt=2**31, alias="start-seed", description="first seed of the range"
    )
    num_seeds: int = Field(
        0, ge=0, lt=2**31, alias="num-seeds", description="how many seeds; 0 is no limit"
    )

    def trained(self) -> tuple[int, int]:
        """First level that is trained on, and how many there are; 0 is no limit."""
        return self.start_seed, self.num_seeds


class TrainingSeeds(LevelSeeds):
    """The levels trained on; the default leaves the seeds below 1000 to the evaluation."""

    start_seed: int = Field(
        1000, ge=0, lt=2**31, alias="start-seed", description="first level that is trained on"
    )
    num_seeds: int = Field(
        0,
        ge=0,
        lt=2**31,
        alias="num-seeds",
        description="how many levels are trained on; 0 is no limit",
    )


# Players are sent numbers as float32, which holds whole ones exactly up to here.
_EXACT_LEVELS: Final = 2**24
_GREATEST_FLOAT32: Final = 3.4028234663852886e38


class UnityParameters(TrainingSeeds):
    """The levels trained on; any other key is a parameter of the scene, and a number."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float]

    def trained(self) -> tuple[int, int]:
        """First level that is trained on, and how many there are."""
        return self.start_seed, self.num_seeds or _EXACT_LEVELS - self.start_seed

    @model_validator(mode="after")
    def _can_be_sent(self) -> UnityParameters:
        _check_levels(self, _EXACT_LEVELS)
        if "seed" in (self.model_extra or {}):
            raise _key_error("seed", "is the level's; choose it by start-seed and num-seeds")
        for name, value in (self.model_extra or {}).items():
            if not name.isascii():
                raise _key_error(name, "players know names of ASCII characters only")
            if abs(value) > _GREATEST_FLOAT32:
                raise _key_error(name, f"must fit a 32-bit float, at most {_GREATEST_FLOAT32:.3g}")
        return self


class TowerParameters(TrainingSeeds):
    """The towers trained on, and what they are like."""

    start_seed: int = Field(
        0, ge=0, lt=2**31, alias="start-seed", description="first tower that is trained on"
    )
    num_seeds: int = Field(
        100, ge=1, lt=2**31, alias="num-seeds", description="how many towers are trained on"
    )
    tower_seed: int | None = Field(
        None,
        ge=0,
        lt=100_000,
        alias="tower-seed",
        description="the one tower that is trained on; null: those of start-seed and num-seeds",
    )
    starting_floor: int = Field(
        0, ge=0, le=99, alias="starting-floor", description="floor on which an episode begins"
    )
    total_floors: int = Field(
        100, ge=1, le=100, alias="total-floors", description="floors of a tower"
    )
    dense_reward: int = Field(
        1, ge=0, le=1, alias="dense-reward", description="1 also rewards doors, keys and puzzles"
    )
    lighting_type: int = Field(
        1,
        ge=0,
        le=2,
        alias="lighting-type",
        description="no realtime light (0), one light (1), or one of many colours (2)",
    )
    visual_theme: int = Field(
        1,
        ge=0,
        le=2,
        alias="visual-theme",
        description="the default theme (0), themes in their order (1), or a random one for each "
        "floor (2)",
    )
    agent_perspective: int = Field(
        1, ge=0, le=1, alias="agent-perspective", description="first person (0) or third person (1)"
    )
    allowed_rooms: int = Field(
        2,
        ge=0,
        le=2,
        alias="allowed-rooms",
        description="normal rooms (0), also those with keys (1), and those with puzzles (2)",
    )
    allowed_modules: int = Field(
        2,
        ge=0,
        le=2,
        alias="allowed-modules",
        description="rooms without modules (0), with easy ones (1), or with all (2)",
    )
    allowed_floors: int = Field(
        2,
        ge=0,
        le=2,
        alias="allowed-floors",
        description="straight floors (0), also branching ones (1), and circular ones (2)",
    )
    default_theme: int = Field(
        0,
        ge=0,
        le=4,
        alias="default-theme",
        description="Ancient (0), Moorish (1), Industrial (2), Modern (3) or Future (4)",
    )

    def trained(self) -> tuple[int, int]:
        """First tower that is trained on, and how many there are."""
        if self.tower_seed is not None:
            return self.tower_seed, 1
        return self.start_seed, self.num_seeds

    @model_validator(mode="after")
    def _towers_exist(self) -> TowerParameters:
        _check_levels(self, 100_000)
        return self


def _check_levels(levels: LevelSeeds, limit: int) -> None:
    first, count = levels.trained()
    if first >= limit:
        raise _key_error("start-seed", f"{first} is out of range; must be less than {limit}")
    if first + count > limit:
        message = f"the last level would be {first + count - 1}; must be less than {limit}"
        raise _key_error("num-seeds", message)


# The types whose environments are Unity players.
PLAYER_TYPES = ("Unity", "ObstacleTower")
# The types whose reset_params have keys of their own.
RESET_PARAMS: Final[dict[str, type[TrainingSeeds]]] = {
    "Unity": UnityParameters,
    "ObstacleTower": TowerParameters,
}


class UnityConfig(Section):
    """How Unity players are started."""

    behavior: str | None = Field(
        None,
        min_length=1,
        description="behaviour whose agents are trained; null: the only one of the scene",
    )
    graphics: bool | None = Field(
        None,
        description="draw while training, which cameras need; null: for ObstacleTower only",
    )
    time_scale: float = Field(20.0, gt=0, le=100, description="how much faster than real time")
    screen_size: Annotated[list[Annotated[int, Field(ge=1)]], Len(2, 2)] = Field(
        [84, 84], description="[width, height] of the window in pixels"
    )
    quality_level: int = Field(
        5, ge=0, description="number of the quality settings of the project, the lowest is 0"
    )
    launch_timeout: float = Field(
        60.0, gt=0, description="seconds until a player must have answered for the first time"
    )
    step_timeout: float = Field(
        60.0, gt=0, description="seconds until a player must have answered a step or a reset"
    )
    arguments: list[str] = Field([], description="further arguments on the player's command line")


class EvaluationSeeds(LevelSeeds):
    """The levels that are evaluated, one episode each."""

    start_seed: int = Field(
        0, ge=0, lt=2**31, alias="start-seed", description="first level that is evaluated"
    )
    num_seeds: int = Field(
        50,
        ge=1,
        lt=2**31,
        alias="num-seeds",
        description="how many levels are evaluated, one episode each",
    )


class EnvironmentConfig(Section):
    """What the agent acts in and what it observes."""

    type: Literal[
        "CartPole", "Gymnasium", "Minigrid", "Procgen", "Atari", "Unity", "ObstacleTower"
    ] = Field(
        "Minigrid",
        description="suite of the environment: CartPole, Gymnasium, Minigrid, Procgen, Atari, "
        "Unity or ObstacleTower",
    )
    name: str = Field(
        "MiniGrid-Empty-Random-6x6-v0",
        min_length=1,
        description="id under which the suite knows the environment; path of a Unity player",
    )
    mask_velocities: bool = Field(
        False, description="CartPole only: hide both velocities, so that memory is needed"
    )
    visual_observation: bool = Field(
        False,
        description="Minigrid only: observe 84 x 84 RGB pixels instead of the one-hot (7, 7, 20) view",
    )
    full_actions: bool = Field(
        False,
        description="ObstacleTower only: walk backwards and sideways, too, not just forwards",
    )
    frame_skip: int = Field(
        1, ge=1, description="steps for which each action is repeated, their rewards summed"
    )
    last_action_to_obs: bool = Field(
        False,
        description="append the last action (one-hot where discrete) to the vector observation",
    )
    last_reward_to_obs: bool = Field(
        False, description="append the last reward to the vector observation"
    )
    positional_encoding: bool = Field(
        False,
        description="append 16 sines and cosines of the episode's step to the vector observation",
    )
    obs_stacks: int = Field(
        1, ge=1, description="how many of the latest observations are stacked into one"
    )
    grayscale: bool = Field(False, description="turn a visual observation into shades of gray")
    resize_vis_obs: Annotated[list[Annotated[int, Field(ge=1)]], Len(2, 2)] | None = Field(
        None, description="[width, height] to which a visual observation is resized; null keeps it"
    )
    backend: Literal["auto", "gymnasium", "envpool"] = Field(
        "auto",
        description="what steps the environments: gymnasium, envpool (fast, for some of them), or "
        "auto: envpool where it plays the same task and is installed",
    )
    processes: int | None = Field(
        None,
        ge=0,
        description="processes that step Gymnasium's environments; 0 steps them in this one; "
        "null measures at the start which is faster (the results are the same)",
    )
    reset_params: SerializeAsAny[TrainingSeeds | UnityParameters | TowerParameters] = Field(
        TrainingSeeds(), validate_default=True, description="the levels that are trained on"
    )
    unity: UnityConfig = Field(
        UnityConfig(), description="Unity and ObstacleTower only: how players are started"
    )

    @field_validator("reset_params", mode="before")
    @classmethod
    def _has_the_keys_of_the_type(cls, value: Any, info: ValidationInfo) -> Any:
        kind = info.data.get("type", "")
        section = RESET_PARAMS.get(kind, TrainingSeeds)
        if isinstance(value, TrainingSeeds) and type(value) is not section:
            value = value.model_dump(by_alias=True, exclude_unset=True)
        if section is TowerParameters and isinstance(value, dict):
            # Checked here, where it is known which keys could have been meant.
            for key in set(value) - set(keys_of(section)):
                raise _key_error(key, "unknown key" + nearest(key, keys_of(section)))
        return section.model_validate(value)

    @model_validator(mode="after")
    def _keys_belong_to_the_type(self) -> EnvironmentConfig:
        for key, suites in _KEYS_OF_TYPES.items():
            default = EnvironmentConfig.model_fields[key].default
            if getattr(self, key) != default and self.type not in suites:
                only = " and ".join(suites)
                raise _key_error(key, f"works with type {only} only, not with {self.type}")
        return self

    @model_validator(mode="after")
    def _players_step_themselves(self) -> EnvironmentConfig:
        if self.type in PLAYER_TYPES and self.backend != "auto":
            raise _key_error("backend", f"must be auto for type {self.type}")
        if self.type in PLAYER_TYPES and self.processes is not None:
            raise _key_error("processes", "must be null: players are processes of their own")
        return self


_KEYS_OF_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "mask_velocities": ("CartPole",),
    "visual_observation": ("Minigrid",),
    "full_actions": ("ObstacleTower",),
    "unity": PLAYER_TYPES,
}


class RecurrenceConfig(Section):
    """Recurrent layers between the encoder and the hidden layers."""

    layer_type: Literal["gru", "lstm"] = Field("gru", description="gru or lstm")
    num_layers: int = Field(1, ge=1, description="number of recurrent layers")
    hidden_state_size: int = Field(128, ge=1, description="units of the hidden state")
    sequence_length: int = Field(
        32,
        description="greatest length of a training sequence in steps; 0 or less: whole episodes, as "
        "far as the rollout has them",
    )
    hidden_state_init: Literal["zero", "one", "mean", "sample", "learned"] = Field(
        "zero",
        description="hidden state at an episode's start: zero, one, mean (of the last rollout's), "
        "sample (from a Gaussian with their mean and deviation) or learned",
    )
    reset_hidden_state: bool = Field(
        True, description="reset the hidden state at an episode's start"
    )
    residual: bool = Field(False, description="add the recurrent layers' input to their output")
    embed: bool = Field(
        False, description="a linear layer with the activation before the recurrent ones"
    )


class ModelConfig(Section):
    """The actor-critic network and its checkpoints."""

    load_model: bool = Field(False, description="continue from the checkpoint in model_path")
    model_path: str = Field("", description="checkpoint to continue from or to evaluate")
    checkpoint_interval: int = Field(
        25, ge=1, description="updates between checkpoints; there is always one at the end"
    )
    activation: Literal["elu", "leaky_relu", "relu", "swish", "tanh", "gelu"] = Field(
        "tanh", description="activation function: elu, leaky_relu, relu, swish, tanh or gelu"
    )
    num_hidden_layers: int = Field(2, ge=1, description="fully connected layers after the encoder")
    hidden_layer_size: int = Field(128, ge=1, description="units of each fully connected layer")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="of the products in all layers but the last and recurrent ones: float32, or "
        "bfloat16, which takes half the time for images on processors made for it",
    )
    share_parameters: bool = Field(
        True, description="one network for policy and value function; false: one each"
    )
    normalize_observations: bool = Field(
        False,
        description="give vector observations mean 0 and deviation 1, by running statistics",
    )
    recurrence: RecurrenceConfig | None = Field(
        None, description="recurrent layers between encoder and hidden layers; null is none"
    )
    squash_actions: bool = Field(
        False,
        description="squash continuous actions by tanh into their bounds; false: clip them "
        "(Haarnoja et al., 2018, Soft actor-critic)",
    )

    @model_validator(mode="after")
    def _names_its_checkpoint(self) -> ModelConfig:
        if self.load_model and not self.model_path:
            raise _key_error("model_path", "must name a checkpoint, because load_model is true")
        return self


class EvaluationConfig(Section):
    """Evaluation during training, and what `eval.py` plays."""

    evaluate: bool = Field(False, description="evaluate during training")
    num_workers: int = Field(4, ge=1, description="environments that are evaluated side by side")
    seeds: EvaluationSeeds = Field(EvaluationSeeds(), description="the levels that are evaluated")
    interval: int = Field(10, ge=1, description="updates between evaluations")


class DecaySchedule(Section):
    """Polynomial decay: (initial - final) * (1 - update / max_decay_steps) ** power + final."""

    initial: float
    final: float | None
    power: float = Field(1.0, gt=0, description="power of the decay; 1 is linear")
    max_decay_steps: int | None = Field(
        None, ge=1, description="updates until final is reached; null: all updates"
    )


class LearningRateSchedule(DecaySchedule):
    """Learning rate of AdamW."""

    initial: float = Field(1.0e-3, gt=0, le=1, description="learning rate at the start")
    final: float | None = Field(
        None, ge=0, le=1, description="learning rate at the end; null: as initial"
    )


class BetaSchedule(DecaySchedule):
    """Coefficient of the entropy bonus."""

    initial: float = Field(0.01, ge=0, description="coefficient of the entropy bonus at the start")
    final: float | None = Field(
        None, ge=0, description="coefficient of the entropy bonus at the end; null: as initial"
    )


class ClipRangeSchedule(DecaySchedule):
    """Clip range of the probability ratio and of the change in value."""

    initial: float = Field(0.2, gt=0, description="clip range at the start")
    final: float | None = Field(None, gt=0, description="clip range at the end; null: as initial")


class TrainerConfig(Section):
    """PPO and its hyperparameters."""

    algorithm: Literal["PPO"] = Field("PPO", description="the algorithm: PPO")
    gamma: float = Field(0.99, ge=0, le=1, description="discount factor")
    lamda: float = Field(0.95, ge=0, le=1, description="lambda of generalised advantage estimation")
    updates: int = Field(50, ge=1, description="how often a rollout is collected and trained on")
    epochs: int = Field(4, ge=1, description="passes over each rollout")
    num_workers: int = Field(16, ge=1, description="environments that are stepped side by side")
    worker_steps: int = Field(64, ge=1, description="steps of each environment in a rollout")
    num_mini_batches: int = Field(
        4,
        ge=1,
        description="mini-batches of an epoch; must divide num_workers x worker_steps",
    )
    value_coefficient: float = Field(0.5, ge=0, description="weight of the value loss")
    max_grad_norm: float = Field(0.5, gt=0, description="norm to which the gradient is clipped")
    adam_epsilon: float = Field(
        1.0e-5, gt=0, description="epsilon of AdamW, added to the root of the second moment"
    )
    weight_decay: float = Field(0.0, ge=0, description="decoupled weight decay of AdamW")
    clip_value_loss: bool = Field(
        True,
        description="limit the change in value by the clip range; false: plain squared error "
        "(Engstrom et al., 2020, Implementation matters in deep policy gradients, compares both)",
    )
    target_kl: float | None = Field(
        None,
        gt=0,
        description="an update ends early where a mini-batch's KL divergence from the policy that "
        "acted exceeds 1.5 times this (OpenAI Spinning Up); null: never",
    )
    multi_discrete_ratio: Literal["joint", "branch"] = Field(
        "joint",
        description="probability ratio of a multi-discrete action: joint, or branch, one for each",
    )
    bootstrap_truncated: bool = Field(
        True,
        description="add the value of what follows where a time limit cuts an episode off (Pardo et "
        "al., 2018, Time limits in reinforcement learning); false: take it for an end",
    )
    normalize_rewards: bool = Field(
        False,
        description="divide rewards by the running standard deviation of the discounted return",
    )
    advantage_normalization: Literal["minibatch", "batch", "none"] = Field(
        "minibatch",
        description="advantages have mean 0 and deviation 1 in each minibatch or batch, or none",
    )
    resume_at: int | None = Field(
        None, ge=0, description="update at which load_model continues; null: the checkpoint's own"
    )
    learning_rate_schedule: LearningRateSchedule = Field(
        LearningRateSchedule(), description="learning rate of AdamW"
    )
    beta_schedule: BetaSchedule = Field(
        BetaSchedule(), description="coefficient of the entropy bonus"
    )
    clip_range_schedule: ClipRangeSchedule = Field(
        ClipRangeSchedule(), description="clip range of the probability ratio and of the value"
    )

    @property
    def batch_size(self) -> int:
        """Steps of a rollout, over all workers."""
        return self.num_workers * self.worker_steps

    @model_validator(mode="after")
    def _mini_batches_divide_the_batch(self) -> TrainerConfig:
        if self.batch_size % self.num_mini_batches:
            raise _key_error(
                "num_mini_batches",
                f"{self.num_mini_batches} doesn't divide the batch of {self.batch_size} "
                f"(num_workers {self.num_workers} x worker_steps {self.worker_steps})",
            )
        return self


class Config(Section):
    """A whole config."""

    environment: EnvironmentConfig = Field(
        EnvironmentConfig(), description="what the agent acts in and what it observes"
    )
    model: ModelConfig = Field(ModelConfig(), description="the network and its checkpoints")
    evaluation: EvaluationConfig = Field(
        EvaluationConfig(), description="evaluation during training, and what eval.py plays"
    )
    trainer: TrainerConfig = Field(TrainerConfig(), description="PPO and its hyperparameters")

    def as_dict(self) -> dict[str, Any]:
        """Every key and value, named as in a YAML file."""
        return self.model_dump(by_alias=True)


def _key_error(key: str, message: str) -> PydanticCustomError:
    """An error of a whole section's check that names the key at fault."""
    return PydanticCustomError(_COMBINATION, "{message}", {"message": message, "key": key})


def load_config(path: Path) -> Config:
    """Reads, completes with defaults and validates a config.

    Raises:
        UserError: a line for each error, with file, line, key, what is wrong and what would be right.
    """
    document = read_config(path)
    return validate_config(document.data, document)


def read_config(path: Path) -> Document:
    """Reads a config without validating it; a section with nothing under it counts as left out.

    Raises:
        UserError: the file is no valid YAML.
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
    """The config that `data` describes; `document` is where it came from, for messages.

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
    """The key and the message of each error that validation found.

    Args:
        error: what pydantic raised.
        combinations: whether to include errors of keys that are valid each for itself.
    """
    return [
        _describe(details)
        for details in error.errors()
        if combinations or details["type"] != _COMBINATION
    ]


def _describe(details: ErrorDetails) -> tuple[KeyPath, str]:
    key_path = tuple(str(part) for part in details["loc"])
    context = details.get("ctx", {})
    kind, value = details["type"], details["input"]
    if kind == _COMBINATION:
        return (*key_path, context["key"]), details["msg"]
    if kind == "extra_forbidden":
        return key_path, "unknown key" + nearest(key_path[-1], keys_of(section_at(key_path[:-1])))
    if kind == "literal_error":
        return key_path, f"{_show(value)} isn't one of {context['expected']}"
    if kind in _BOUNDS:
        bound = next(iter(context.values()))
        return key_path, f"{_show(value)} is out of range; must be {_BOUNDS[kind]} {bound}"
    if kind in ("too_short", "too_long"):
        needed = context.get("min_length") or context.get("max_length")
        return key_path, f"has {context['actual_length']} values; must have {needed}"
    if kind in _EXPECTED:
        return key_path, f"{_show(value)} where {_EXPECTED[kind]} belongs"
    return key_path, f"{_show(value)}: {details['msg']}"


_BOUNDS = {
    "greater_than": "more than",
    "greater_than_equal": "at least",
    "less_than": "less than",
    "less_than_equal": "at most",
}
_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "string_too_short": "a name",
    "list_type": "a list",
    "model_type": "a section of keys and values",
    "model_attributes_type": "a section of keys and values",
}


def _show(value: Any) -> str:
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text '{value}'" if value.isprintable() else f"the text {value!r}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def nearest(name: str, names: list[str]) -> str:
    """A hint at the name that was probably meant: "; did you mean x?", or all there are."""
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; must be one of {', '.join(names)}"


def section_at(key_path: KeyPath) -> type[Section]:
    """The section's class at a path such as ("trainer", "beta_schedule")."""
    section: type[Section] = Config
    for key in key_path:
        inner = subsection(section, key)
        assert inner is not None, f"{key_path} is no section"
        section = inner
    return section


def subsection(section: type[Section], key: str) -> type[Section] | None:
    """The class of the section under `key`, or None where a plain value stands."""
    return next(iter(subsections(section, key)), None)


def subsections(section: type[Section], key: str) -> list[type[Section]]:
    """The classes of the section under `key`: several where it depends on the environment's type."""
    for name, info in section.model_fields.items():
        if (info.alias or name) == key:
            candidates = (info.annotation, *getattr(info.annotation, "__args__", ()))
            return [
                candidate
                for candidate in candidates
                if isinstance(candidate, type) and issubclass(candidate, Section)
            ]
    return []


def keys_of(section: type[Section]) -> list[str]:
    """The keys of a section, as they are written in YAML, in their order."""
    return [info.alias or name for name, info in section.model_fields.items()]
