import pytest

from ppo.validation import load_runnable_config
from schema.config import Config, load_config
from schema.errors import UserError
from schema.processor import multiplies_bfloat16


@pytest.fixture
def load(tmp_path):
    path = tmp_path / "some.yaml"

    def load_text(text):
        path.write_text(text)
        return load_config(path)

    return load_text


def errors_of(load, text):
    with pytest.raises(UserError) as failure:
        load(text)
    return failure.value.lines


def only_error(load, text):
    lines = errors_of(load, text)
    assert len(lines) == 1
    return lines[0]


def test_an_empty_file_gives_the_defaults(load):
    config = load("")
    assert config == Config()
    assert config.trainer.gamma == 0.99
    assert config.trainer.num_workers == 16
    assert config.trainer.learning_rate_schedule.initial == 1e-3
    assert config.trainer.learning_rate_schedule.final is None
    assert config.environment.reset_params.start_seed == 1000
    assert config.evaluation.seeds.num_seeds == 50


def test_given_values_replace_the_defaults_and_nothing_else(load):
    config = load("trainer:\n  gamma: 0.5\n  beta_schedule: {initial: 1e-4}\n")
    assert config.trainer.gamma == 0.5
    assert config.trainer.beta_schedule.initial == 0.0001
    expected = Config().as_dict()
    expected["trainer"]["gamma"] = 0.5
    expected["trainer"]["beta_schedule"]["initial"] = 0.0001
    assert config.as_dict() == expected


def test_a_whole_number_is_valid_for_a_float(load):
    assert load("trainer: {gamma: 1}").trainer.gamma == 1.0


@pytest.mark.parametrize("written", ["10", "10.0", "1e1", "1.0e1"])
def test_a_float_without_a_fraction_is_a_whole_number(load, written):
    config = load(
        f"trainer: {{updates: {written}, beta_schedule: {{max_decay_steps: {written}}}}}\n"
        f"environment: {{resize_vis_obs: [{written}, {written}], kwargs: {{number: {written}}}}}\n"
        f"evaluation: {{seeds: {{num-seeds: {written}}}}}\n"
    )
    found = [
        config.trainer.updates,
        config.trainer.beta_schedule.max_decay_steps,
        config.evaluation.seeds.num_seeds,
        *config.environment.resize_vis_obs,
    ]
    assert found == [10] * 5 and {type(number) for number in found} == {int}
    # Arguments of the environment aren't converted.
    assert isinstance(config.environment.kwargs["number"], int if written == "10" else float)


@pytest.mark.parametrize(
    "text", ["trainer:\nmodel:\n", "trainer:\n  beta_schedule:\nevaluation:\n  seeds: null\n"]
)
def test_an_empty_section_counts_as_left_out(load, text):
    assert load(text) == Config()


@pytest.mark.parametrize(
    ("text", "line", "key", "nearest"),
    [
        ("trainer:\n  n_workers: 4\n", 2, "trainer.n_workers", "num_workers"),
        ("\ntrianer: {}\n", 2, "trianer", "trainer"),
        (
            "trainer:\n  beta_schedule:\n    inital: 1\n",
            3,
            "trainer.beta_schedule.inital",
            "initial",
        ),
        (
            "evaluation:\n  seeds: {start_seed: 1}\n",
            2,
            "evaluation.seeds.start_seed",
            "start-seed",
        ),
    ],
)
def test_an_unknown_key_names_the_nearest(load, tmp_path, text, line, key, nearest):
    found = only_error(load, text)
    where = f"{tmp_path / 'some.yaml'}, line {line}"
    assert found == f"{where}: {key}: unknown key; did you mean {nearest}?"


def test_an_unknown_key_unlike_any_other_lists_all(load):
    found = only_error(load, "evaluation: {zzz: 1}")
    keys = "evaluate, num_workers, seeds, interval, score_bounds"
    assert found.endswith(f"unknown key; must be one of {keys}")


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("trainer: {gamma: '0.9'}", "trainer.gamma", "must be a number, not the text '0.9'"),
        ("trainer: {gamma: no}", "trainer.gamma", "must be a number, not the text 'no'"),
        ("trainer: {epochs: 1.5}", "trainer.epochs", "must be a whole number, not 1.5"),
        ("trainer: {epochs: .inf}", "trainer.epochs", "must be a whole number, not inf"),
        ("trainer: {epochs: 0.0}", "trainer.epochs", "0 is out of range; must be at least 1"),
        ("trainer: {epochs: true}", "trainer.epochs", "must be a whole number, not true"),
        ("trainer: {epochs: }", "trainer.epochs", "must be a whole number, not null"),
        ("trainer: {gamma: .inf}", "trainer.gamma", "inf"),
        ("trainer: {gamma: .nan}", "trainer.gamma", "nan"),
        ("trainer: 5", "trainer", "must be a section of keys and values, not 5"),
        ("model: {activation: 3}", "model.activation", "3 isn't one of"),
        ("model: {activation: relu6}", "model.activation", "the text 'relu6' isn't one of"),
        ("model: {load_model: 1}", "model.load_model", "must be true or false, not 1"),
        ("trainer: {gamma: 1.01}", "trainer.gamma", "1.01 is out of range; must be at most 1"),
        ("trainer: {gamma: -1}", "trainer.gamma", "-1 is out of range; must be at least 0"),
        ("trainer: {max_grad_norm: 0}", "trainer.max_grad_norm", "must be more than 0"),
        ("environment: {name: ''}", "environment.name", "must be a name, not the text"),
        (
            "environment: {resize_vis_obs: [84]}",
            "environment.resize_vis_obs",
            "has 1 values; must have 2",
        ),
        (
            "environment: {resize_vis_obs: 84}",
            "environment.resize_vis_obs",
            "must be a list, not 84",
        ),
        (
            "evaluation: {seeds: {start-seed: 2147483648}}",
            "evaluation.seeds.start-seed",
            "must be less than 2147483648",
        ),
    ],
)
def test_a_wrong_value_is_answered_with_a_valid_type_or_range(load, tmp_path, text, key, words):
    found = only_error(load, text)
    assert found.startswith(f"{tmp_path / 'some.yaml'}, line 1: {key}: ")
    assert words in found


@pytest.mark.parametrize("key", ["epochs", "gamma"])
def test_a_number_of_endless_digits_is_one_line(load, tmp_path, key):
    found = only_error(load, f"trainer:\n  {key}: {'9' * 5000}\n")
    assert found.startswith(f"{tmp_path / 'some.yaml'}, line 2: ")


def test_mini_batches_must_divide_the_batch(load, tmp_path):
    text = "trainer:\n  num_workers: 3\n  worker_steps: 5\n  num_mini_batches: 4\n"
    assert only_error(load, text) == (
        f"{tmp_path / 'some.yaml'}, line 4: trainer.num_mini_batches: 4 doesn't divide the batch "
        "of 15 (num_workers 3 x worker_steps 5)"
    )
    assert load(text.replace("batches: 4", "batches: 5")).trainer.batch_size == 15


def test_all_errors_are_listed_in_the_order_of_their_lines(load, tmp_path):
    lines = errors_of(
        load,
        "trainer:\n  gamma: 2\n  epochs: x\nevaluation:\n  intervall: 3\n"
        "model: {num_hidden_layers: 0}\n",
    )
    file = tmp_path / "some.yaml"
    starts = [
        f"{file}, line 2: trainer.gamma: ",
        f"{file}, line 3: trainer.epochs: ",
        f"{file}, line 5: evaluation.intervall: ",
        f"{file}, line 6: model.num_hidden_layers: ",
    ]
    assert len(lines) == len(starts)
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True))


def test_recurrence_is_off_unless_one_of_its_keys_is_given(load):
    assert load("model: {recurrence: null}") == Config()
    recurrence = load("model:\n  recurrence:\n    layer_type: lstm\n").model.recurrence
    assert (recurrence.layer_type, recurrence.num_layers) == ("lstm", 1)


@pytest.mark.parametrize("has_images", [True, False])
def test_null_leaves_the_choice_of_trunks_to_the_observations(load, has_images):
    assert load("").model.share_parameters is None
    assert load("").resolved(has_images).model.share_parameters is has_images
    for chosen in (True, False):
        given = load(f"model: {{share_parameters: {str(chosen).lower()}}}")
        assert given.resolved(has_images) == given
        assert given.model.share_parameters is chosen


def test_a_model_to_load_needs_a_path(load):
    assert "model.model_path: must name a checkpoint" in only_error(
        load, "model: {load_model: true}"
    )


@pytest.mark.parametrize(
    ("key", "suite"),
    [
        ("mask_velocities", "CartPole"),
        ("visual_observation", "Minigrid"),
        ("terminal_on_life_loss", "Atari"),
    ],
)
def test_a_key_of_another_suite_is_an_error(load, key, suite):
    found = only_error(load, f"environment: {{type: Gymnasium, name: x, {key}: true}}")
    assert f"environment.{key}: works with type {suite} only, not with Gymnasium" in found


def test_an_environment_of_another_suite_cannot_be_run(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text("environment: {type: Minigrid, name: CartPole-v1}\n")
    with pytest.raises(UserError) as failure:
        load_runnable_config(path)
    assert len(failure.value.lines) == 1
    assert failure.value.lines[0].startswith(f"{path}: environment.name: CartPole-v1 isn't of type")


def test_a_missing_checkpoint_cannot_be_resumed(tmp_path):
    path = tmp_path / "some.yaml"
    missing = tmp_path / "update_000001.pt"
    path.write_text(
        "environment: {type: CartPole, name: CartPole-v1}\n"
        f"model: {{load_model: true, model_path: '{missing}'}}\n"
    )
    with pytest.raises(UserError) as failure:
        load_runnable_config(path)
    assert failure.value.lines == [f"{path}: model.model_path: no checkpoint at {missing}"]


def test_a_config_is_restored_from_its_own_dictionary():
    config = Config.model_validate({"evaluation": {"seeds": {"start-seed": 7}}})
    assert config.as_dict()["evaluation"]["seeds"] == {"start-seed": 7, "num-seeds": 50}
    assert Config.model_validate(config.as_dict()) == config


def test_arguments_of_an_environment_are_any_finite_yaml(load):
    text = "environment:\n  kwargs: {a: 1, b: [1.5, {c: null}], d: text, e: false}\n"
    assert load(text).environment.kwargs == {
        "a": 1,
        "b": [1.5, {"c": None}],
        "d": "text",
        "e": False,
    }
    assert "line 2: environment.kwargs: must be a mapping of names to values, not 5" in only_error(
        load, "environment:\n  kwargs: 5\n"
    )
    found = only_error(load, "environment:\n  kwargs: {a: [.inf]}\n")
    assert "environment.kwargs: " in found and "must hold finite numbers only" in found
    found = only_error(load, "environment: {type: Atari, name: Pong-v5, kwargs: {a: 1}}")
    assert (
        "environment.kwargs: works with type CartPole, Gymnasium and Minigrid only, not with Atari"
        in found
    )
    assert "at least 1" in only_error(load, "environment: {max_episode_steps: 0}")


ATARI = {
    "frame_skip": 4,
    "obs_stacks": 4,
    "grayscale": True,
    "resize_vis_obs": [84, 84],
    "terminal_on_life_loss": True,
    "clip_rewards": True,
}


def test_atari_has_its_usual_preprocessing_by_default(load):
    config = load("environment: {type: Atari, name: Pong-v5}")
    written = config.as_dict()["environment"]
    assert {key: written[key] for key in ATARI} == ATARI
    assert written["sticky_actions"] == 0.0


def test_given_keys_of_atari_replace_its_defaults(load):
    config = load(
        "environment: {type: Atari, name: Pong-v5, frame_skip: 1, resize_vis_obs: null, "
        "clip_rewards: false}"
    )
    written = config.as_dict()["environment"]
    assert (written["frame_skip"], written["resize_vis_obs"], written["obs_stacks"]) == (1, None, 4)
    assert not written["clip_rewards"]
    assert Config.model_validate(config.as_dict()) == config


def test_no_other_type_has_the_defaults_of_atari(load):
    for text in ("", "environment: {type: Procgen, name: MazeEasy-v0}"):
        written = load(text).as_dict()["environment"]
        assert not any(written[key] == value for key, value in ATARI.items())


def test_an_evaluation_has_the_game_s_own_ends_and_rewards(load):
    config = load("environment: {type: Atari, name: Pong-v5}").environment
    played = config.for_evaluation()
    assert not played.terminal_on_life_loss
    assert not played.clip_rewards
    assert played.frame_skip == config.frame_skip


@pytest.mark.parametrize(
    ("native", "has_images", "device", "expected"),
    [
        (True, True, "cpu", "bfloat16"),
        (False, True, "cpu", "float32"),
        (True, False, "cpu", "float32"),
        (True, True, "cuda", "float32"),
    ],
)
def test_auto_chooses_bfloat16_for_images_on_a_processor_with_its_instructions(
    native, has_images, device, expected, monkeypatch, load
):
    monkeypatch.setattr("schema.model.multiplies_bfloat16", lambda: native)
    config = load("model: {precision: auto}").resolved(has_images, device)
    assert config.model.precision == expected
    assert load("").resolved(has_images, device).model.precision == "float32"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 sse\n", True),
        ("processor: 0\nflags : amx_bf16 amx_tile\nflags : fpu\n", True),
        ("flags : fpu avx512f bf16\n", False),
        ("Features : fp asimd\n", False),
    ],
)
def test_bfloat16_is_detected_from_the_processor_s_flags(text, expected, tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    assert multiplies_bfloat16(path) == expected
    assert not multiplies_bfloat16(tmp_path / "missing")
