"""The section `model`: the network and its checkpoints."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from schema.processor import multiplies_bfloat16
from schema.section import Section, key_error


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
    keep_checkpoints: int | None = Field(
        2,
        ge=1,
        description="how many of the last checkpoints are kept, besides the one at which the return was "
        "greatest; null keeps all",
    )
    activation: Literal["elu", "leaky_relu", "relu", "swish", "tanh", "gelu"] = Field(
        "tanh", description="activation function: elu, leaky_relu, relu, swish, tanh or gelu"
    )
    num_hidden_layers: int = Field(2, ge=1, description="fully connected layers after the encoder")
    hidden_layer_size: int = Field(128, ge=1, description="units of each fully connected layer")
    precision: Literal["float32", "bfloat16", "auto"] = Field(
        "float32",
        description="of the products in all layers but the last and recurrent ones: float32, "
        "bfloat16, which takes half the time for images on processors made for it, or auto: bfloat16 "
        "for images on such a processor (AVX512-BF16, AMX), else float32",
    )
    share_parameters: bool | None = Field(
        None,
        description="one network for policy and value function; false: one each; null: one where "
        "images are observed, which takes two thirds of the time there, else one each",
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

    def resolved(self, has_images: bool, device: str = "cpu") -> ModelConfig:
        """The same with what null and auto leave to the kind of observation and the machine.

        Args:
            has_images: whether an image is among what is observed.
            device: the type of device on which it is trained.
        """
        chosen: dict[str, Any] = {}
        if self.share_parameters is None:
            chosen["share_parameters"] = has_images
        if self.precision == "auto":
            suits = has_images and device == "cpu" and multiplies_bfloat16()
            chosen["precision"] = "bfloat16" if suits else "float32"
        return self.model_copy(update=chosen) if chosen else self

    @model_validator(mode="after")
    def _names_its_checkpoint(self) -> ModelConfig:
        if self.load_model and not self.model_path:
            raise key_error("model_path", "must name a checkpoint, because load_model is true")
        return self
