"""Translates PPO's hyperparameters of rl-baselines3-zoo into configs, as docs/from_other_tools.md says.

`zoo_ppo.yml` is an excerpt of the zoo's own file.
"""

import ast
from pathlib import Path

import yaml

ZOO_FILE = Path(__file__).with_name("zoo_ppo.yml")
MUJOCO = [
    "Ant",
    "HalfCheetah",
    "Hopper",
    "Humanoid",
    "HumanoidStandup",
    "InvertedDoublePendulum",
    "InvertedPendulum",
    "Reacher",
    "Swimmer",
    "Walker2d",
]
# Stable-Baselines3's and the zoo's defaults for keys that an entry leaves out.
DEFAULTS = {
    "n_envs": 1,
    "n_steps": 2048,
    "batch_size": 64,
    "n_epochs": 10,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "learning_rate": 3e-4,
    "clip_range": 0.2,
    "ent_coef": 0.0,
    "vf_coef": 0.5,
    "max_grad_norm": 0.5,
    "policy_kwargs": "dict()",
}
ACTIVATIONS = {"nn.Tanh": "tanh", "nn.ReLU": "relu", "nn.GELU": "gelu", "nn.ELU": "elu"}


class UntranslatableError(Exception):
    """A value has no equal here; the message has the reason."""


def entries():
    """Return the entries of the zoo's file by environment."""
    return yaml.safe_load(ZOO_FILE.read_text(encoding="utf-8"))


def translate(name, entry):
    """Return the config of an entry, and the reason for each key that can't be translated."""
    config, left_out = {"environment": environment(name)}, {}
    for key, value in (DEFAULTS | entry).items():
        try:
            found = TABLE[key](value, DEFAULTS | entry)
        except UntranslatableError as reason:
            left_out[key] = str(reason)
            continue
        for path, translated in found.items():
            section, _, inner = path.partition(".")
            config.setdefault(section, {})[inner] = translated
    return config, left_out


# Ant-v4 has none.
WITHOUT_CONTACT_FORCES = {"include_cfrc_ext_in_observation": False, "contact_cost_weight": 0.0}


def environment(name):
    """Return type and id; robots have the version that Gymnasium has now."""
    family, _, version = name.rpartition("-")
    if family in MUJOCO:
        version = "v5"
    suite = "Minigrid" if family.startswith("MiniGrid") else "Gymnasium"
    kind = "CartPole" if family == "CartPole" else suite
    kwargs = {"kwargs": WITHOUT_CONTACT_FORCES} if family == "Ant" else {}
    return {"type": kind, "name": f"{family}-{version}"} | kwargs


def same(path):
    return lambda value, _: {path: value}


def number_of_mini_batches(size, entry):
    batch = entry["n_envs"] * entry["n_steps"]
    if batch > size and batch % size:
        raise UntranslatableError("the last mini-batch is smaller than the others")
    return {"trainer.num_mini_batches": max(1, batch // size)}


def schedule(path):
    def translated(value, _):
        if isinstance(value, str):
            initial, final = float(value.removeprefix("lin_")), 0.0
        else:
            initial, final = value, None
        return {path: {"initial": initial, "final": final}}

    return translated


def policy(value, _):
    if value != "MlpPolicy":
        raise UntranslatableError(
            "policy and value function share convolutions, but not the layers after"
        )
    return {}


def normalize(value, _):
    chosen = as_data(value) if isinstance(value, str) else {}
    return {
        "model.normalize_observations": chosen.get("norm_obs", True),
        "trainer.normalize_rewards": chosen.get("norm_reward", True),
    }


def env_wrapper(value, _):
    """Frame skip, size and colour are keys of the environment."""
    found = {}
    for wrapper in [value] if isinstance(value, str) else value:
        name, arguments = (
            next(iter(wrapper.items())) if isinstance(wrapper, dict) else (wrapper, {})
        )
        match name.rpartition(".")[2]:
            case "FrameSkip":
                found["environment.frame_skip"] = arguments["skip"]
            case "YAMLCompatResizeObservation":
                found["environment.resize_vis_obs"] = arguments["shape"][::-1]
            case "GrayscaleObservation":
                found["environment.grayscale"] = True
            case other:
                raise UntranslatableError(f"there is no {other}; observations are one-hot instead")
    return found


def policy_kwargs(text, _):
    chosen = as_data(text)
    layers = chosen.pop("net_arch", {"pi": [64, 64], "vf": [64, 64]})
    found = {
        "model.hidden_layers": {"policy": layers["pi"], "value": layers["vf"]},
        "model.activation": ACTIVATIONS[chosen.pop("activation_fn", "nn.Tanh")],
        "model.log_std_init": chosen.pop("log_std_init", 0.0),
        "model.initialization": "orthogonal" if chosen.pop("ortho_init", True) else "torch",
    }
    assert not chosen
    return found


def as_data(text):
    """Return the data that a Python expression of literals, names and `dict(...)` stands for."""

    def read(node):
        if isinstance(node, ast.Call):
            return {each.arg: read(each.value) for each in node.keywords}
        return ast.unparse(node) if isinstance(node, ast.Attribute) else ast.literal_eval(node)

    return read(ast.parse(text.strip(), mode="eval").body)


TABLE = {
    "n_timesteps": same("trainer.total_steps"),
    "n_envs": same("trainer.num_workers"),
    "n_steps": same("trainer.worker_steps"),
    "batch_size": number_of_mini_batches,
    "n_epochs": same("trainer.epochs"),
    "gamma": same("trainer.gamma"),
    "gae_lambda": same("trainer.lamda"),
    "learning_rate": schedule("trainer.learning_rate_schedule"),
    "clip_range": schedule("trainer.clip_range_schedule"),
    "ent_coef": lambda value, _: {"trainer.beta_schedule": {"initial": value}},
    "vf_coef": same("trainer.value_coefficient"),
    "max_grad_norm": same("trainer.max_grad_norm"),
    "use_sde": same("model.use_sde"),
    "sde_sample_freq": same("model.sde_sample_freq"),
    "normalize": normalize,
    "frame_stack": same("environment.obs_stacks"),
    "env_wrapper": env_wrapper,
    "policy": policy,
    "policy_kwargs": policy_kwargs,
}
