"""Unknown names lead to a key's path: usual names in other libraries, and keys of other sections."""

import pytest

from schema.config import Config, load_config
from schema.errors import UserError
from schema.section import key_paths
from schema.suggestions import OPTIONS, USUAL_NAMES

PATHS = list(key_paths(Config))


def test_usual_names_lead_to_keys_and_are_no_keys_themselves():
    usual = [name for names in USUAL_NAMES.values() for name in names]
    assert set(USUAL_NAMES) <= set(PATHS)
    assert len(set(usual)) == len(usual)
    assert not {path[-1] for path in PATHS} & {*usual, *OPTIONS}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("trainer: {learnig_rate: 1}", "trainer.learning_rate_schedule.initial"),
        ("trainer: {learning_rate: 1}", "trainer.learning_rate_schedule.initial"),
        ("learning_rate: 1", "trainer.learning_rate_schedule.initial"),
        ("trainer: {learning_rate_schedul: 1}", "learning_rate_schedule"),
        ("trainer: {beta: 1}", "trainer.beta_schedule.initial"),
        ("trainer: {ent_coef: 1}", "trainer.beta_schedule.initial"),
        ("trainer: {entropy_coefficient: 1}", "trainer.beta_schedule.initial"),
        ("trainer: {clip_range: 1}", "trainer.clip_range_schedule.initial"),
        ("trainer: {n_steps: 1}", "worker_steps"),
        ("trainer: {n_envs: 1}", "num_workers"),
        ("trainer: {gae_lambda: 1}", "lamda"),
        ("trainer: {lambda: 1}", "lamda"),
        ("trainer: {n_epochs: 1}", "epochs"),
        ("trainer: {batch_size: 1}", "num_mini_batches"),
        ("trainer: {vf_coef: 1}", "value_coefficient"),
        ("trainer: {total_timesteps: 1}", "total_steps"),
        ("total_timesteps: 1", "trainer.total_steps"),
        ("gamma: 1", "trainer.gamma"),
        ("trainer: {activation: relu}", "model.activation"),
        ("trainer: {hidden_size: 1}", "model.hidden_layer_size"),
        ("env: {type: CartPole}", "environment"),
        ("evaluation: {seed: 1}", "seeds"),
        ("environment: {reset_params: {seed: 1}}", "num-seeds"),
        ("seed: 1", "the option --seed of the command"),
        ("trainer: {seed: 1}", "the option --seed of the command"),
    ],
)
def test_an_unknown_key_of_a_base_config_is_answered_with_a_hint(tmp_path, text, hint):
    path = tmp_path / "base.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as failure:
        load_config(path)
    (line,) = failure.value.lines
    assert line.endswith(f": unknown key; did you mean {hint}?")
