"""A user's environment is checked: each fault is one line."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from environments.checking.check import check_environment
from schema.environment import EnvironmentConfig

LIMIT = 150


class Good(gymnasium.Env):
    """Observes the time and a random number; ends at a random time."""

    observation_space = spaces.Box(0.0, 1.0, (2,), np.float32)
    action_space = spaces.Discrete(3)

    def __init__(self, length=10):
        self.length = length

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self.observe(), {}

    def step(self, action):
        self.time += 1
        return self.observe(), float(action), self.time == self.length, False, {}

    def observe(self):
        return np.array([self.time / self.length, self.draw()], np.float32)

    def draw(self):
        return self.np_random.random()


class Unseeded(Good):
    generator = np.random.default_rng()

    def draw(self):
        return self.generator.random()


class Forgetful(Good):
    """Keeps counting in the next episode, which a check of the first steps misses."""

    count = 0

    def step(self, action):
        self.count += self.time > 5
        observation, *_ = super().step(action)
        return observation, float(self.count), self.time == self.length, False, {}


class Remembering(Good):
    """Draws a track once per instance."""

    def __init__(self):
        super().__init__()
        self.track = np.random.default_rng().random()

    def step(self, action):
        observation, *_ = super().step(action)
        return observation, self.track, self.time == self.length, False, {}


class Infinite(Good):
    def step(self, action):
        observation, _, *others = super().step(action)
        return observation, float("inf") if self.time == 3 else 0.0, *others


class TooLarge(Good):
    def observe(self):
        return super().observe() + np.array([0, self.time > 3], np.float32) * 5


class NotANumber(Good):
    def observe(self):
        return np.array([0.5, np.nan if self.time == 4 else 0.5], np.float32)


class Doubles(Good):
    def observe(self):
        return super().observe().astype(np.float64)


class WrongShape(Good):
    def observe(self):
        return super().observe()[:1]


class WrongKeys(Good):
    observation_space = spaces.Dict({"a": spaces.Discrete(2), "b": spaces.Discrete(2)})

    def observe(self):
        return {"a": 1}


class BarelyTooLarge(Good):
    """Exceeds the bound by the least that float64 can."""

    observation_space = spaces.Box(0.0, 1.0, (2,), np.float64)

    def observe(self):
        return np.array([0.5, np.nextafter(1.0, 2.0)])


class NotInside(Good):
    observation_space = spaces.Dict({"a": spaces.Discrete(2)})

    def observe(self):
        return {"a": np.int64(7)}


class Endless(Good):
    def step(self, action):
        observation, reward, *_ = super().step(action)
        return np.minimum(observation, 1), reward, False, False, {}


class Raising(Good):
    def step(self, action):
        if self.time == 4:
            raise ValueError("the motor\nis stuck")
        return super().step(action)


class OldReset(Good):
    def reset(self):
        return super().reset()


class Unbuildable(Good):
    def __init__(self):
        raise RuntimeError("no licence")


class Textual(Good):
    observation_space = spaces.Text(4, min_length=4, charset="ab")

    def observe(self):
        return "abab"


class Warned(Good):
    def reset(self, *, seed=None, options=None):
        warnings.warn("the battery\nis low", stacklevel=1)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        return super().reset(seed=seed)


class Filmed(Good):
    """Renders, although its metadata lists no mode."""

    def __init__(self, render_mode=None):
        super().__init__()

    def render(self):
        return np.zeros((4, 6, 3), np.uint8)


class Blank(Filmed):
    def render(self):
        return None


class Unclosable(Good):
    def close(self):
        raise OSError("the port is gone")


class ArrayReward(Good):
    def step(self, action):
        observation, reward, *others = super().step(action)
        return observation, np.array([reward]), *others


class NoInfo(Good):
    def step(self, action):
        return *super().step(action)[:4], None


class OldStep(Good):
    def step(self, action):
        observation, reward, terminated, _, info = super().step(action)
        return observation, reward, terminated, info


class BareReset(Good):
    """Returns only an observation of two numbers, which unpacks like two values."""

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)[0]


class BareNumbers(Good):
    def reset(self, *, seed=None, options=None):
        return tuple(super().reset(seed=seed)[0].tolist())


class NoSpaces(gymnasium.Env):
    action_space = 4


class StepOfNothing(Good):
    def step(self):
        return super().step(0)


class LargeDoubles(Good):
    def observe(self):
        return super().observe().astype(np.float64) + 5


class ShrinkingDoubles(Good):
    def observe(self):
        return super().observe().astype(np.float64)[: 1 if self.time > 3 else 2]


class DoublesWithoutInfo(Doubles):
    def step(self, action):
        return *super().step(action)[:4], None


CLASSES = (
    *(ArrayReward, NoInfo, OldStep, BareReset, BareNumbers, NoSpaces),
    *(StepOfNothing, LargeDoubles, ShrinkingDoubles, DoublesWithoutInfo),
    *(Warned, Unclosable, Filmed, Blank),
    *(Good, Unseeded, Forgetful, Remembering, Infinite, NotANumber, Doubles),
    *(TooLarge, BarelyTooLarge),
    *(WrongShape, WrongKeys, NotInside, Endless, Raising, OldReset, Unbuildable, Textual),
)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr("environments.checking.check._STEPS", LIMIT)
    monkeypatch.setattr(gymnasium.envs.registration, "registry", dict(gymnasium.registry))
    monkeypatch.setattr(gymnasium, "registry", gymnasium.envs.registration.registry)
    for kind in CLASSES:
        gymnasium.register(f"{kind.__name__}-v0", kind)


def lines(name, verdict, **keys):
    config = EnvironmentConfig(type="Gymnasium", name=f"{name}-v0", **keys)
    return [found.text for found in check_environment(config) if found.verdict == verdict]


def test_a_good_environment_passes_everything():
    assert lines("Filmed", "failed") == lines("Filmed", "note") == []
    # One or two steps in each of Gymnasium's checks, and four episodes of ten steps.
    assert [line.partition(", in")[0] for line in lines("Filmed", "passed")] == [
        "Gymnasium's check_env",
        "it observes vector (2,) float32; acts by 3 choices",
        "the same seed and actions give the same episode",
        "episodes end, here within 10 steps",
        "observations are within observation_space and rewards finite",
        "enjoy.py can film it",
    ]


def test_an_environment_that_can_t_be_filmed_gets_a_note():
    assert lines("Good", "failed") == lines("Blank", "failed") == []
    assert lines("Good", "note") == [
        "enjoy.py can't film it: Good-v0 can't be rendered: its constructor takes no render_mode"
    ]
    assert lines("Blank", "note") == [
        "enjoy.py can't film it: Blank-v0: render gave None; must be an array of shape (height, "
        "width, 3) of uint8"
    ]
    assert lines("Filmed", "passed")[-1] == "enjoy.py can film it, in 6 x 4 pixels"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "Unseeded",
            "the same seed and actions must give the same episode: with seed 1 the observation "
            "'vector' differs after the reset, played once more; call super().reset(seed=seed)",
        ),
        (
            "Forgetful",
            "the same seed and actions must give the same episode: with seed 1 the reward "
            "differs after step 1, played once more; ",
        ),
        (
            "Remembering",
            "the same seed and actions must give the same episode: with seed 2 the reward "
            "differs after step 1, played in another instance; ",
        ),
        ("Infinite", "step gave the reward inf; it must be a finite number"),
        (
            "TooLarge",
            "the observation that step gave isn't within observation_space: it has 5.",
        ),
        (
            "NotANumber",
            "the observation that step gave isn't within observation_space: it holds nan",
        ),
        (
            "Doubles",
            "the observation that reset gave isn't within observation_space: it is float64 where "
            "float32 belongs",
        ),
        (
            "Endless",
            f"no episode ended in {LIMIT} steps and there is no time limit; register it with "
            "max_episode_steps, or set environment.max_episode_steps",
        ),
    ],
)
def test_a_fault_is_one_line(name, expected):
    (line,) = lines(name, "failed")
    assert line.startswith(expected)
    assert "\n" not in line


_STEP = "(observation, reward, terminated, truncated, info)"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ArrayReward", "step gave an array of shape (1,) as the reward; must be a number"),
        ("NoInfo", "step gave None as info; must be a dictionary"),
        ("OldStep", f"step must return {_STEP}, not 4 values (ndarray, float, bool, dict)"),
        ("BareReset", "reset must return (observation, info), not an array of shape (2,)"),
        ("BareNumbers", "reset must return (observation, info), not 2 values (float, float)"),
    ],
)
def test_a_malformed_answer_is_reported_as_in_training(name, expected):
    assert lines(name, "failed") == [f"it can't be played: {name}-v0: {expected}"]
    assert not any("rewards finite" in line for line in lines(name, "passed"))


def test_wrong_parameters_are_reported_without_a_line_of_this_project():
    (line,) = lines("StepOfNothing", "failed")
    assert line.startswith("it can't be played: TypeError: StepOfNothing.step() takes 1 positional")
    assert ".py" not in line


def test_missing_spaces_are_reported():
    assert lines("NoSpaces", "failed") == [
        "it has None as observation_space; must be one of gymnasium.spaces",
        "it has a int as action_space; must be one of gymnasium.spaces",
    ]


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("LargeDoubles", ["it has 5 at [0], where 0 to 1 is allowed"]),
        ("ShrinkingDoubles", ["it has the shape (1,) where (2,) belongs"]),
    ],
)
def test_faults_of_several_kinds_are_reported_together(name, others):
    found = [line.partition("observation_space: ")[2] for line in lines(name, "failed")]
    faults = ["it is float64 where float32 belongs", *others]
    assert found == [f"{fault}; mend either of them" for fault in faults]


def test_a_wrong_observation_hides_no_other_fault():
    played, observed = lines("DoublesWithoutInfo", "failed")
    assert "gave None as info" in played and "float64 where float32 belongs" in observed


def test_a_place_that_is_out_of_bounds_is_named():
    (line,) = lines("TooLarge", "failed")
    assert " at [1], where 0 to 1 is allowed; mend either of them" in line


def test_a_value_just_beyond_a_bound_is_told_from_the_bound():
    (line,) = lines("BarelyTooLarge", "failed")
    assert "it has 1.0000000000000002 at [1], where 0 to 1 is allowed" in line


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("WrongShape", "it has the shape (1,) where (2,) belongs"),
        ("WrongKeys", "it has ['a'] where ['a', 'b'] belong"),
        ("NotInside", "'a' is np.int64(7), not in Discrete(2)"),
    ],
)
def test_faults_that_break_the_wrappers_are_explained(name, expected):
    (line,) = lines(name, "failed")
    assert f"isn't within observation_space: {expected}; mend either of them" in line


def test_an_exception_is_one_line_that_names_the_place():
    (line,) = lines("Raising", "failed")
    assert line.startswith("it can't be played: ValueError: the motor is stuck (")
    assert line.rpartition("/")[2].startswith("test_checking.py, line ")
    (line,) = lines("Unbuildable", "failed")
    assert line.startswith("it can't be built: RuntimeError: no licence (")


def test_a_reset_without_a_seed_is_refused():
    (line,) = lines("OldReset", "failed")
    assert "`reset` method does not provide a `seed`" in line


def test_spaces_that_can_t_be_trained_from_are_refused():
    (line,) = lines("Textual", "failed")
    assert line.startswith("environment.name: Textual-v0 observes a Text space")


def test_a_time_limit_counts_as_an_end():
    assert lines("Endless", "failed", max_episode_steps=50) == []
    assert "episodes have a time limit of 50 steps" in lines(
        "Endless", "passed", max_episode_steps=50
    )


def test_too_few_steps_to_judge_whether_episodes_end_are_no_failure(monkeypatch):
    monkeypatch.setattr("environments.checking.check._SECONDS", 0.0)
    assert lines("Endless", "failed") == []
    assert any(
        line.startswith("no episode ended in the ") and "if episodes never end" in line
        for line in lines("Endless", "note")
    )


def test_gymnasium_s_warnings_are_lines():
    notes = [
        found.text
        for found in check_environment(EnvironmentConfig(type="Gymnasium", name="Pendulum-v1"))
        if found.verdict == "note"
    ]
    assert len(notes) == 1 and notes[0].startswith("Gymnasium warns: For Box action spaces, we")


def test_an_environment_s_own_warnings_are_notes():
    assert lines("Warned", "note")[1:] == ["the battery is low"]
    assert lines("Warned", "failed") == []


def test_a_close_that_fails_is_one_line():
    (line,) = lines("Unclosable", "failed")
    assert line.startswith("it can't be played: OSError: the port is gone (")


@pytest.mark.parametrize(
    ("type_", "name"), [("Minigrid", "MiniGrid-Empty-5x5-v0"), ("CartPole", "CartPole-v1")]
)
def test_suites_that_gymnasium_registers_are_checked_too(type_, name):
    found = check_environment(EnvironmentConfig(type=type_, name=name, frame_skip=4))
    assert "passed" in {finding.verdict for finding in found}
    assert not [finding for finding in found if finding.verdict == "failed"]
