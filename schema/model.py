"""The section `model`: the network and its checkpoints."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    PositiveInt,
    TypeAdapter,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from schema.processor import multiplies_bfloat16
from schema.section import Section, as_whole, key_error


class RecurrenceConfig(Section):
    """Recurrent layers between the encoder and the hidden layers."""

    layer_type: Literal["gru", "lstm"] = Field(
        "gru", description="type of the recurrent layers: gru or lstm"
    )
    num_layers: int = Field(1, ge=1, description="number of recurrent layers")
    hidden_state_size: int = Field(128, ge=1, description="units of the hidden state")
    sequence_length: int = Field(
        32,
        description="greatest length of a training sequence in steps; 0 or less: whole episodes, as "
        "far as they lie in the rollout",
    )
    hidden_state_init: Literal["zero", "one", "mean", "sample", "learned"] = Field(
        "zero",
        description="hidden state at an episode's start: zero, one, mean (of the last rollout's "
        "hidden states), sample (from a Gaussian with their mean and standard "
        "deviation) or learned",
    )
    reset_hidden_state: bool = Field(
        True, description="reset the hidden state at an episode's start"
    )
    residual: bool = Field(False, description="add the recurrent layers' input to their output")
    embed: bool = Field(
        False, description="add a linear layer with the activation before the recurrent layers"
    )


class HiddenLayers(Section):
    """Fully connected layers of the policy and of the value function, which share no parameters then."""

    policy: list[PositiveInt] = Field(
        [128, 128], description="units of each fully connected layer of the policy; []: no layer"
    )
    value: list[PositiveInt] = Field(
        [128, 128],
        description="units of each fully connected layer of the value function; []: no layer",
    )


_UNITS = TypeAdapter(list[PositiveInt], config=ConfigDict(strict=True))


class ModelConfig(Section):
    """The actor-critic network and its checkpoints."""

    load_model: bool = Field(False, description="resume training from the checkpoint in model_path")
    model_path: str = Field("", description="checkpoint to resume from or to evaluate")
    checkpoint_interval: int = Field(
        25, ge=1, description="updates between checkpoints; the last update always writes one"
    )
    keep_checkpoints: int | None = Field(
        2,
        ge=1,
        description="number of latest checkpoints to keep, besides the one with the greatest "
        "return; null: keep all",
    )
    activation: Literal["elu", "leaky_relu", "relu", "swish", "tanh", "gelu"] = Field(
        "tanh", description="activation function: elu, leaky_relu, relu, swish, tanh or gelu"
    )
    num_hidden_layers: int = Field(2, ge=1, description="fully connected layers after the encoder")
    hidden_layer_size: int = Field(128, ge=1, description="units of each fully connected layer")
    hidden_layers: list[PositiveInt] | HiddenLayers | None = Field(
        None,
        description="units of each fully connected layer as a list, such as [256, 128] ([]: no layer), "
        "or a list each for policy and value; takes the place of num_hidden_layers and "
        "hidden_layer_size; null: as these say",
    )
    initialization: Literal["orthogonal", "torch"] = Field(
        "orthogonal",
        description="initial weights: orthogonal (biases are 0, and the policy's last layer is small) "
        "or torch (PyTorch's own: uniform up to 1 / sqrt(inputs) for weights and biases)",
    )
    precision: Literal["float32", "bfloat16", "auto"] = Field(
        "float32",
        description="precision of products in all layers but the last and recurrent ones: float32, "
        "bfloat16 (half the time for images on processors with AVX512-BF16 or AMX), or "
        "auto: bfloat16 for images on such a processor, else float32",
    )
    share_parameters: bool | None = Field(
        None,
        description="share one network between policy and value function; false: one each; null: "
        "share where images are observed, which takes two thirds of the time there, unless "
        "hidden_layers has a list each",
    )
    normalize_observations: bool = Field(
        False,
        description="normalise vector observations to mean 0 and standard deviation 1 by running "
        "statistics",
    )
    recurrence: RecurrenceConfig | None = Field(
        None, description="recurrent layers between encoder and hidden layers; null: none"
    )
    squash_actions: bool = Field(
        False,
        description="squash continuous actions into their bounds by tanh (Haarnoja et al., 2018, "
        "Soft actor-critic); false: clip them",
    )
    log_std_init: float = Field(
        0.0,
        ge=-20,
        le=10,
        description="initial log standard deviation of continuous actions",
    )
    use_sde: bool = Field(
        False,
        description="explore by noise that depends on the observation, for continuous actions: a random "
        "linear function of the policy's last features, drawn for each worker (Raffin et al., 2022, "
        "Smooth exploration for robotic reinforcement learning)",
    )
    sde_sample_freq: int = Field(
        -1,
        ge=-1,
        description="steps after which use_sde draws new functions; -1: only when a rollout begins",
    )

    def resolved(self, has_images: bool, device: str = "cpu") -> ModelConfig:
        """Return the config with null and auto resolved by the kind of observation and the machine.

        Args:
            has_images: whether observations include an image.
            device: the type of the device that trains.
        """
        chosen: dict[str, Any] = {}
        if self.share_parameters is None:
            chosen["share_parameters"] = has_images and not self.has_layers_apart
        if self.precision == "auto":
            suits = has_images and device == "cpu" and multiplies_bfloat16()
            chosen["precision"] = "bfloat16" if suits else "float32"
        return self.model_copy(update=chosen) if chosen else self

    @property
    def has_layers_apart(self) -> bool:
        """Whether hidden_layers has a list each for policy and value function."""
        return isinstance(self.hidden_layers, HiddenLayers)

    @property
    def policy_layers(self) -> list[int]:
        """Units of each fully connected layer of the policy."""
        if isinstance(self.hidden_layers, HiddenLayers):
            return self.hidden_layers.policy
        return self._common_layers

    @property
    def value_layers(self) -> list[int]:
        """Units of each fully connected layer of the value function."""
        if isinstance(self.hidden_layers, HiddenLayers):
            return self.hidden_layers.value
        return self._common_layers

    @property
    def _common_layers(self) -> list[int]:
        if isinstance(self.hidden_layers, list):
            return self.hidden_layers
        return [self.hidden_layer_size] * self.num_hidden_layers

    @property
    def has_equal_layers(self) -> bool:
        """Whether policy and value function have equally many hidden layers, all of one size."""
        if self.hidden_layers is None:
            return True
        return self.policy_layers == self.value_layers and len(set(self.policy_layers)) == 1

    @field_validator("hidden_layers", mode="before")
    @classmethod
    def _is_a_list_or_a_section(cls, value: Any) -> Any:
        # Chosen here, so that errors are those of the form that was meant.
        if value is None or isinstance(value, HiddenLayers):
            return value
        if isinstance(value, dict):
            return HiddenLayers.model_validate(value)
        return _UNITS.validate_python(as_whole(value))

    @model_validator(mode="after")
    def _layers_are_given_once(self) -> ModelConfig:
        if self.hidden_layers is None:
            return self
        for key in ("num_hidden_layers", "hidden_layer_size"):
            if getattr(self, key) != type(self).model_fields[key].default:
                raise key_error(key, "can't be combined with hidden_layers; leave one of them out")
        if self.has_layers_apart and self.share_parameters:
            raise key_error(
                "share_parameters",
                "must be false or null, because hidden_layers has a list each for policy and value",
            )
        return self

    @field_validator("sde_sample_freq")
    @classmethod
    def _is_a_number_of_steps(cls, value: int) -> int:
        if value == 0:
            raise PydanticCustomError("steps", "must be -1 or at least 1")
        return value

    @model_validator(mode="after")
    def _names_its_checkpoint(self) -> ModelConfig:
        if self.load_model and not self.model_path:
            raise key_error("model_path", "must name a checkpoint, because load_model is true")
        return self
