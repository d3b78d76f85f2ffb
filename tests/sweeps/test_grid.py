import copy
from itertools import islice, product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import UserError
from schema.yaml_file import Document
from sweeps.search_space.grid import Grid
from sweeps.search_space.keys import Axis, resolve_key
from sweeps.search_space.merging import deep_merge
from tests.sweeps.scene import CARTPOLE, DOCUMENTED


def errors_of(action, *arguments):
    with pytest.raises(UserError) as failure:
        action(*arguments)
    return failure.value.lines


def test_the_documented_example_has_48_permutations_in_the_order_of_the_file(load):
    grid = load(DOCUMENTED)
    permutations = list(grid.permutations())
    assert len(grid) == len(permutations) == 48
    assert [permutation.index for permutation in permutations] == list(range(48))
    labels = [
        "worker_steps",
        "num_workers",
        "learning_rate_schedule.initial",
        "learning_rate_schedule.final",
        "beta_schedule.initial",
        "beta_schedule.final",
    ]
    assert grid.labels == labels
    expected = {
        0: (64, 8, 3e-3, 1e-5, 0.01, 1e-4),
        1: (64, 8, 3e-3, 1e-5, 0.001, 1e-4),
        2: (64, 8, 3e-3, 1e-5, 0.001, 1e-4),
        3: (64, 8, 3e-3, 1e-6, 0.01, 1e-4),
        6: (64, 8, 1e-4, 1e-5, 0.01, 1e-4),
        12: (64, 16, 3e-3, 1e-5, 0.01, 1e-4),
        24: (128, 8, 3e-3, 1e-5, 0.01, 1e-4),
        47: (128, 16, 1e-4, 1e-6, 0.001, 1e-4),
    }
    for index, values in expected.items():
        assert permutations[index].choices == dict(zip(labels, values, strict=True))
    trainer = permutations[47].config.trainer
    assert (trainer.worker_steps, trainer.num_workers) == (128, 16)
    assert trainer.learning_rate_schedule.initial == 1e-4
    assert trainer.learning_rate_schedule.final == 1e-6
    assert trainer.beta_schedule.initial == 0.001
    assert trainer.beta_schedule.final == 0.0001
    assert permutations[47].config.environment.name == "CartPole-v1"


def test_the_documented_example_repeats_16_permutations_and_says_so(load, tmp_path):
    grid = load(DOCUMENTED)
    assert grid.validate() == [
        f"{tmp_path / 'tune.yaml'}: 16 of 48 permutations repeat another: "
        "beta_schedule.initial lists 0.001 twice. --unique drops them"
    ]
    unique = grid.unique()
    assert len(unique) == 32
    assert unique.axes[4].choices == (0.01, 0.001)
    assert unique.validate() == []
    assert len(grid) == 48


def test_repeated_choices_are_found_by_their_meaning(load):
    grid = load("hyperparameters:\n  gamma: [1, 0.5, 1, 1.0]\n  evaluate: [true, false]\n")
    assert "4 of 8 permutations repeat another: gamma lists 1.0 3 times" in grid.validate()[0]
    assert grid.unique().axes[0].choices == (1, 0.5)
    assert isinstance(grid.unique().axes[0].choices[0], int), "the first spelling is kept"
    assert len(grid.unique()) == 4


def test_large_whole_numbers_are_told_apart(load):
    grid = load(f"hyperparameters: {{updates: [{2**53}, {2**53 + 1}, {10**400}]}}\n")
    assert grid.validate() == []
    assert len(grid.unique()) == 3


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("gamma", "trainer.gamma"),
        ("trainer.gamma", "trainer.gamma"),
        ("num_workers", "trainer.num_workers"),
        ("evaluation.num_workers", "evaluation.num_workers"),
        ("activation", "model.activation"),
        ("type", "environment.type"),
        ("interval", "evaluation.interval"),
        ("beta_schedule.initial", "trainer.beta_schedule.initial"),
        ("reset_params.num-seeds", "environment.reset_params.num-seeds"),
        ("seeds", "evaluation.seeds"),
        ("layer_type", "model.recurrence.layer_type"),
    ],
)
def test_a_key_is_found_by_its_name_or_its_path(key, path):
    assert resolve_key(key) == tuple(path.split("."))


@pytest.mark.parametrize(
    ("key", "paths"),
    [
        ("start-seed", ["environment.reset_params.start-seed", "evaluation.seeds.start-seed"]),
        (
            "initial",
            [
                f"trainer.{name}_schedule.initial"
                for name in ("learning_rate", "beta", "clip_range")
            ],
        ),
    ],
)
def test_a_name_in_several_sections_lists_their_paths(key, paths):
    assert errors_of(resolve_key, key) == [f"several sections have it; write {' or '.join(paths)}"]


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("n_workers", "num_workers"),
        ("hiden_layer_size", "hidden_layer_size"),
        ("trainer.gama", "trainer.gamma"),
        ("learnig_rate", "the section learning_rate_schedule with the key initial"),
        ("learning_rate", "the section learning_rate_schedule with the key initial"),
        ("trainer.learning_rate", "trainer.learning_rate_schedule.initial"),
        ("beta", "the section beta_schedule with the key initial"),
        ("entropy_coefficient", "the section beta_schedule with the key initial"),
        ("clip_range", "the section clip_range_schedule with the key initial"),
        ("n_steps", "worker_steps"),
        ("gae_lambda", "lamda"),
        ("batch_size", "num_mini_batches"),
        ("hidden_size", "model.hidden_layer_size"),
        ("model.gamma", "trainer.gamma"),
        ("device", "the option --device of tune.py"),
    ],
)
def test_an_unknown_name_hints_at_the_nearest(key, nearest):
    assert errors_of(resolve_key, key) == [f"unknown key; did you mean {nearest}?"]


def test_a_seed_is_a_repetition_rather_than_a_choice():
    (line,) = errors_of(resolve_key, "seed")
    assert "--num-repetitions=<n>" in line and "--seed" in line


@pytest.mark.parametrize(
    ("section", "hint"),
    [
        (
            "learnig_rate: [1]",
            "did you mean the section learning_rate_schedule with the key initial?",
        ),
        ("learning_rate_schedul: {initial: [1]}", "did you mean learning_rate_schedule?"),
        ("worker_steps: [64]", "did you mean the key worker_steps under hyperparameters?"),
        ("n_steps: [64]", "did you mean the key worker_steps under hyperparameters?"),
        ("activation: [relu]", "did you mean the key model.activation under hyperparameters?"),
        ("trainer: {gamma: [0.9]}", "list its keys under hyperparameters"),
        (
            "seed: [1, 2]",
            "use --num-repetitions=<n>, which trains with n seeds from --seed on",
        ),
    ],
)
def test_an_unknown_section_hints_at_the_right_one(load, section, hint):
    (line,) = errors_of(load, section)
    assert line.endswith(f": unknown section; {hint}")


@pytest.mark.parametrize("key", ["slip", "distance", "grid_size"])
def test_a_name_like_no_other_may_be_an_argument_of_the_environment(key):
    assert errors_of(resolve_key, key) == [
        "unknown key; docs/configuration.md lists all keys, and an argument of the environment's "
        f"constructor is written environment.kwargs.{key}"
    ]
    assert resolve_key(f"environment.kwargs.{key}") == ("environment", "kwargs", key)


def test_a_dotted_name_like_no_other_points_to_the_list_of_all():
    assert errors_of(resolve_key, "qqq.qqq") == [
        "unknown key; docs/configuration.md lists all keys"
    ]


def test_errors_of_the_tuning_config_are_all_listed_with_their_lines(load, tmp_path):
    lines = errors_of(
        load,
        "hyperparameters:\n  n_workers: [1]\n  epochs: []\n  gamma: 0.5\n"
        "gamma_schedule:\n  initial: [1]\n"
        "beta_schedule:\n  inital: [1]\n"
        "clip_range_schedule:\n",
    )
    file = tmp_path / "tune.yaml"
    assert lines == [
        f"{file}, line 2: hyperparameters.n_workers: unknown key; did you mean num_workers?",
        f"{file}, line 3: hyperparameters.epochs: an empty list; write at least one choice",
        f"{file}, line 5: gamma_schedule: unknown section; did you mean beta_schedule?",
        f"{file}, line 8: beta_schedule.inital: unknown key; did you mean initial?",
        f"{file}, line 9: clip_range_schedule: holds no keys; list some or remove it",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("hyperparameters: []", "hyperparameters: holds no keys; list some or remove it"),
        ("hyperparameters: {}", "hyperparameters: holds no keys; list some or remove it"),
        (
            "hyperparameters:\n  - gamma: [0.9]",
            "hyperparameters: needs keys with choices below it, such as `gamma: [0.9, 0.99]`",
        ),
        (
            "beta_schedule: [0.1, 0.01]",
            "beta_schedule: needs keys with choices below it, such as `initial: [0.1, 0.01]`",
        ),
        (
            "hyperparameters: {gamma: []}",
            "hyperparameters.gamma: an empty list; write at least one choice",
        ),
    ],
)
def test_a_section_without_keys_or_choices_is_one_line(load, tmp_path, text, problem):
    assert errors_of(load, text) == [f"{tmp_path / 'tune.yaml'}, line 1: {problem}"]


def test_an_empty_tuning_config_is_an_error(load, tmp_path):
    lines = errors_of(load, "# nothing\n")
    assert len(lines) == 1
    assert lines[0].startswith(f"{tmp_path / 'tune.yaml'}: is empty")


@pytest.mark.parametrize(
    "tune",
    [
        "hyperparameters: {gamma: [0.9], trainer.gamma: [0.8]}\n",
        "hyperparameters: {beta_schedule.final: [0]}\nbeta_schedule: {final: [0]}\n",
        "hyperparameters: {beta_schedule: [{initial: 1}]}\nbeta_schedule: {final: [0]}\n",
    ],
)
def test_a_key_that_is_tuned_twice_is_an_error(load, tune):
    lines = errors_of(load, tune)
    assert len(lines) == 1
    assert "tunes what hyperparameters." in lines[0]


def test_a_single_value_is_the_only_choice(load):
    grid = load("hyperparameters:\n  gamma: 0.5\n  activation: relu\n")
    assert [permutation.choices for permutation in grid.permutations()] == [
        {"gamma": 0.5, "activation": "relu"}
    ]


def test_a_choice_may_be_a_list_or_a_section(load):
    grid = load(
        "hyperparameters:\n"
        "  resize_vis_obs: [[84, 60], null]\n"
        "  beta_schedule: [{initial: 0.5}, {final: 0.001}]\n",
        CARTPOLE + "trainer: {beta_schedule: {initial: 0.25, power: 2}}\n",
    )
    found = [
        (
            permutation.config.environment.resize_vis_obs,
            permutation.config.trainer.beta_schedule.initial,
            permutation.config.trainer.beta_schedule.final,
            permutation.config.trainer.beta_schedule.power,
        )
        for permutation in grid.permutations()
    ]
    assert found == [
        ([84, 60], 0.5, None, 2),
        ([84, 60], 0.25, 0.001, 2),
        (None, 0.5, None, 2),
        (None, 0.25, 0.001, 2),
    ]


def test_a_wrong_choice_names_file_key_and_choice(load, tmp_path):
    grid = load(
        "hyperparameters:\n  gamma: [0.9, 1.5]\n  epochs: [two, 3]\n"
        "beta_schedule:\n  initial: [-1]\n"
    )
    file = tmp_path / "tune.yaml"
    assert errors_of(grid.validate) == [
        f"{file}, line 2: gamma: choice 1.5: 1.5 is out of range; must be at most 1.0",
        f"{file}, line 3: epochs: choice two: must be a whole number, not the text 'two'",
        f"{file}, line 5: beta_schedule.initial: choice -1: -1 is out of range; must be at least 0.0",
    ]


def test_an_error_of_the_base_config_names_the_base_config(load, tmp_path):
    base = CARTPOLE + "trainer:\n  gamma: 3\n  epochs: 0\n"
    grid = load("hyperparameters: {gamma: [0.9, 0.99]}\n", base)
    lines = errors_of(grid.validate)
    assert len(lines) == 1, "the base's gamma is never used, since it is tuned"
    assert lines[0].startswith(f"{tmp_path / 'base.yaml'}, line 4: trainer.epochs: 0 is out of")


def test_a_combination_that_does_not_work_names_the_permutation(load, tmp_path):
    grid = load("hyperparameters:\n  num_mini_batches: [4, 3]\n  worker_steps: [64, 96]\n")
    assert errors_of(grid.validate) == [
        f"{tmp_path / 'tune.yaml'}: permutation 2 (num_mini_batches=3, worker_steps=64): "
        "trainer.num_mini_batches: 3 doesn't divide the batch of 1024 "
        "(num_workers 16 x worker_steps 64)"
    ]


def test_a_suite_with_the_environment_of_another_names_the_permutation(load):
    tune = "hyperparameters:\n  type: [CartPole, Minigrid]\n"
    lines = errors_of(load(tune).validate)
    assert len(lines) == 1
    assert "permutation 1 (type=Minigrid): environment.name: CartPole-v1 isn't of type" in lines[0]


def test_many_wrong_combinations_are_counted(load):
    steps = list(range(1, 31))  # of one worker; every odd number isn't divided by 2
    tune = f"hyperparameters:\n  num_workers: 1\n  num_mini_batches: 2\n  worker_steps: {steps}\n"
    lines = errors_of(load(tune).validate)
    assert len(lines) == 11
    assert lines[-1].endswith("15 of 30 permutations are invalid")


def test_an_error_that_many_permutations_have_is_one_line(load, tmp_path):
    grid = load(
        "hyperparameters:\n  gamma: [0.9, 0.95, 0.99]\n  num_mini_batches: [4, 3, 5]\n"
        "  worker_steps: [64, 96]\n"
    )
    tune = tmp_path / "tune.yaml"
    assert errors_of(grid.validate) == [
        f"{tune}: 3 permutations, starting with {first} (gamma=0.9, "
        f"num_mini_batches={batches}, worker_steps={steps}): trainer.num_mini_batches: {batches} "
        f"doesn't divide the batch of {16 * steps} (num_workers 16 x worker_steps {steps})"
        for first, batches, steps in [("02", 3, 64), ("04", 5, 64), ("05", 5, 96)]
    ]
    # An error of the base config is listed once.
    base = CARTPOLE.replace("CartPole-v1", "CartPole-v9")
    (line,) = errors_of(load("hyperparameters: {gamma: [0.9, 0.95]}\n", base).validate)
    assert "2 permutations, starting with 0 (gamma=0.9): environment.name: " in line
    grid = load("hyperparameters: {gamma: [1.5, 1.5]}\n")
    assert len(errors_of(grid.validate)) == 1


def test_a_base_config_that_only_choices_make_valid_is_accepted(load):
    base = CARTPOLE + "trainer: {num_workers: 1, worker_steps: 9, num_mini_batches: 4}\n"
    assert load("hyperparameters: {worker_steps: [8, 16]}\n", base).validate() == []
    assert len(errors_of(load("hyperparameters: {gamma: [0.9, 1]}\n", base).validate)) == 1


def test_a_warning_names_the_permutations_with_rising_schedules(load, tmp_path):
    tune = (
        "learning_rate_schedule:\n  initial: [1e-3, 1e-5]\n  final: [1e-4, 1e-5, 1e-6]\n"
        "beta_schedule:\n  initial: [0.01]\n"
    )
    base = CARTPOLE + "trainer: {clip_range_schedule: {final: 0.5}}\n"
    file = tmp_path / "tune.yaml"
    assert load(tune, base).validate() == [
        f"{file}: learning_rate_schedule: final is greater than initial in permutation 3; "
        "the schedule rises there",
        f"{file}: clip_range_schedule: final is greater than initial in permutations "
        "0, 1, 2, 3, 4, 5; the schedule rises there",
    ]


def test_the_first_permutations_of_an_astronomic_grid_come_at_once(load):
    keys = ["gamma", "lamda", "value_coefficient", "weight_decay"]
    lines = [f"  {key}: [{', '.join(str(i / 1000) for i in range(1000))}]" for key in keys]
    grid = load("hyperparameters:\n" + "\n".join(lines) + "\n")
    assert len(grid) == 10**12
    assert grid.name(7) == "000000000007"
    first, second = islice(grid.permutations(), 2)
    assert first.choices == dict.fromkeys(keys, 0.0)
    assert second.choices == {**first.choices, "weight_decay": 0.001}


def test_names_sort_as_numbers(load):
    grid = load(f"hyperparameters: {{epochs: {list(range(1, 12))}}}\n")
    names = [grid.name(index) for index in range(len(grid))]
    assert names[0] == "00"
    assert names == sorted(names)
    assert load("hyperparameters: {epochs: [1]}\n").name(0) == "0"


_probabilities = st.integers(0, 20).map(lambda number: number / 20)
_axes = st.fixed_dictionaries(
    {"gamma": st.lists(_probabilities, min_size=1, max_size=4)},
    optional={
        "epochs": st.lists(st.integers(1, 9), min_size=1, max_size=3),
        "lamda": st.lists(_probabilities, min_size=1, max_size=3),
        "updates": st.lists(st.integers(1, 9), min_size=1, max_size=3),
    },
)


@given(choices=_axes)
def test_a_grid_is_the_product_of_its_choices(choices):
    axes = [Axis(("trainer", key), key, tuple(values), (key,)) for key, values in choices.items()]
    base = {"trainer": {"gamma": 0.123, "value_coefficient": 0.25}, "model": {"activation": "elu"}}
    untouched = copy.deepcopy(base)
    grid = Grid(Document(Path("base.yaml"), base), Document(Path("tune.yaml"), {}), axes)
    permutations = list(grid.permutations())
    expected = list(product(*choices.values()))
    assert len(grid) == len(expected)
    assert [tuple(item.choices.values()) for item in permutations] == expected
    for permutation in permutations:
        trainer = permutation.config.trainer
        assert {key: getattr(trainer, key) for key in choices} == permutation.choices
        assert trainer.value_coefficient == 0.25
        assert permutation.config.model.activation == "elu"
    assert base == untouched
    unique = list(grid.unique().permutations())
    assert [tuple(item.choices.values()) for item in unique] == list(dict.fromkeys(expected))
    seen = [item.config for item in unique]
    assert all(a != b for position, a in enumerate(seen) for b in seen[:position])


_mappings = st.recursive(
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 5), max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), st.integers(0, 5) | inner, max_size=3),
    max_leaves=6,
)
_inner = st.fixed_dictionaries({}, optional={"p": st.integers(), "q": st.integers()})
_middle = st.fixed_dictionaries({}, optional={"a": st.integers(), "inner": _inner})
_same_form = st.fixed_dictionaries({}, optional={"x": st.integers(), "y": _middle, "z": _middle})


def leaves(mapping, path=()):
    for key, value in mapping.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


@given(mapping=_mappings)
def test_merging_with_nothing_or_itself_changes_nothing(mapping):
    assert deep_merge(mapping, {}) == mapping
    assert deep_merge({}, mapping) == mapping
    assert deep_merge(mapping, mapping) == mapping


@given(base=_mappings, override=_mappings)
def test_the_override_wins_and_neither_is_changed(base, override):
    base_before, override_before = copy.deepcopy(base), copy.deepcopy(override)
    merged = deep_merge(base, override)
    assert (base, override) == (base_before, override_before)
    found = dict(leaves(merged))
    assert all(found[path] == value for path, value in leaves(override))
    either = dict(leaves(base)) | dict(leaves(override))
    assert all(either[path] == value for path, value in found.items())
    assert set(merged) == set(base) | set(override)


@given(first=_same_form, second=_same_form, third=_same_form)
def test_merging_of_mappings_of_one_form_is_associative(first, second, third):
    left = deep_merge(deep_merge(first, second), third)
    assert left == deep_merge(first, deep_merge(second, third))


def test_a_list_is_replaced_as_a_whole():
    assert deep_merge({"a": [1, 2], "b": {"c": 1}}, {"a": [3], "b": 2}) == {"a": [3], "b": 2}


LAKE = "environment: {type: Gymnasium, name: FrozenLake-v1, kwargs: {map_name: 8x8}}\n"


@pytest.mark.parametrize(
    ("space", "label"),
    [
        ("environment.kwargs: [{is_slippery: true}, {is_slippery: false}]", "environment.kwargs"),
        ("environment.kwargs.is_slippery: [true, false]", "environment.kwargs.is_slippery"),
        ("kwargs.is_slippery: [true, false]", "kwargs.is_slippery"),
    ],
)
def test_arguments_of_an_environment_are_tuned(load, space, label):
    grid = load(f"hyperparameters:\n  {space}\n", LAKE)
    assert grid.validate() == []
    assert grid.labels == [label]
    assert [permutation.config.environment.kwargs for permutation in grid.permutations()] == [
        {"map_name": "8x8", "is_slippery": True},
        {"map_name": "8x8", "is_slippery": False},
    ]


def test_a_wrong_argument_of_an_environment_is_found_before_training(load):
    grid = load("hyperparameters:\n  kwargs.is_slipery: [true]\n", LAKE)
    (line,) = errors_of(grid.validate)
    assert "environment.kwargs: the constructor of FrozenLake-v1 takes no is_slipery" in line


def test_arguments_as_a_whole_and_one_of_them_are_not_tuned_together(load):
    space = "  environment.kwargs: [{map_name: 4x4}]\n  kwargs.is_slippery: [true]\n"
    (line,) = errors_of(load, f"hyperparameters:\n{space}", LAKE)
    assert "tunes what hyperparameters.environment.kwargs tunes already" in line
