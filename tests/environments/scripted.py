"""Tiny environments with known answers, registered with Gymnasium when this module is imported.

Configs name them as "tests.environments.scripted:Scripted...-v0", so that worker processes import
this module as well.
"""

import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
import time

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from gymnasium.envs.classic_control.pendulum import PendulumEnv
from gymnasium.envs.toy_text.taxi import TaxiEnv


class Script(gymnasium.Env):
    """Observes [seed, time, last action]; the reward is time + 1; ends after `length` steps."""

    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)
    action_space = spaces.Discrete(4)

    def __init__(self, length=3, end="terminated"):
        self.length, self.end = length, end
        self.observation = np.zeros(3, np.float32)  # reused on purpose: callers must copy it

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        self.observation[:] = seed, 0, -1
        return self.observation, {}

    def step(self, action):
        self.time += 1
        self.observation[1:] = self.time, action
        ended = self.time >= self.length
        info = {
            "score": np.float32(0.5),
            "won": True,
            "count": np.int64(7),
            "text": "no number",
            "array": np.ones(2),
        }
        terminated = ended and self.end in ("terminated", "both")
        truncated = ended and self.end in ("truncated", "both")
        return self.observation, float(self.time), terminated, truncated, info


class Random(gymnasium.Env):
    """Random images, rewards and ends, all drawn from the generator that `reset` seeds."""

    observation_space = spaces.Dict(
        {
            "camera": spaces.Box(0, 255, (40, 36, 3), np.uint8),
            "map": spaces.Box(0, 255, (36, 37), np.uint8),
            "place": spaces.Discrete(3),
            "speed": spaces.Box(-1, 1, (2,), np.float64),
        }
    )
    action_space = spaces.MultiDiscrete([3, 2])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._observe(), {}

    def step(self, action):
        chance = self.np_random.random()
        reward = chance + action[0] - 2 * action[1]
        return self._observe(), reward, chance < 0.1, chance > 0.9, {"chance": chance}

    def _observe(self):
        random = self.np_random
        return {
            "camera": random.integers(0, 256, (40, 36, 3), np.uint8),
            "map": random.integers(0, 256, (36, 37), np.uint8),
            "place": int(random.integers(3)),
            "speed": random.uniform(-1, 1, 2),
        }


class Spaces(gymnasium.Env):
    """Has the given spaces, and observes samples of them."""

    def __init__(self, observation_space=None, action_space=None):
        self.observation_space = (
            spaces.Discrete(2) if observation_space is None else observation_space
        )
        self.action_space = spaces.Discrete(2) if action_space is None else action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        return self.observation_space.sample(), 0.0, False, False, {"action": action}


class Masked(gymnasium.Env):
    """Observes seed and time; allows action time % 2, and all but time % 3; ends at time 3.

    The mask is in `info`, in one piece.
    """

    action_space = spaces.MultiDiscrete([2, 3])
    observation_space = spaces.Box(0, np.inf, (2,), np.float32)
    closed_at = None  # the time at which no action of the second branch is allowed

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seed, self.time = seed, 0
        return self.observe(), self.inform()

    def step(self, action):
        self.time += 1
        return self.observe(), 1.0, self.time == 3, False, self.inform()

    def observe(self):
        return np.array([self.seed, self.time], np.float32)

    def inform(self):
        return {"action_mask": np.concatenate(self.masks())}

    def masks(self):
        allowed = np.arange(3) != (self.time % 3)
        if self.time == self.closed_at:
            allowed[:] = False
        return (np.arange(2) == self.time % 2).astype(np.int8), allowed


class MaskedInfoOfBranches(Masked):
    def inform(self):
        return {"action_mask": self.masks()}


class MaskedMethod(Masked):
    def inform(self):
        return {}

    def action_masks(self):
        return np.concatenate(self.masks()).astype(bool).tolist()


class MaskedObserved(Masked):
    observation_space = spaces.Dict(
        {"action_mask": spaces.MultiBinary(5), "inner": Masked.observation_space}
    )

    def observe(self):
        return {"action_mask": np.concatenate(self.masks()), "inner": super().observe()}

    def inform(self):
        return {}


class MaskedUntilTheEnd(Masked):
    closed_at = 3


class MaskedClosedAtTwo(Masked):
    closed_at = 2


class MaskedForgetful(Masked):
    def inform(self):
        return super().inform() if self.time == 0 else {}


class MaskedShort(Masked):
    def inform(self):
        return {"action_mask": np.ones(4)}


class MaskedContinuous(Masked):
    action_space = spaces.Box(0, 1, (1,), np.float32)


class MaskedReserved(MaskedObserved):
    observation_space = spaces.Dict(
        {"action_mask": spaces.Box(-1, 1, (5,)), "inner": Masked.observation_space}
    )


class MaskedReservedImage(MaskedObserved):
    observation_space = spaces.Dict({"action_mask": spaces.Box(0, 255, (8, 8, 3), np.uint8)})


class MaskedOnSteps(Masked):
    """The mask is in the info of steps only."""

    def inform(self):
        return super().inform() if self.time else {}


class MaskedByNone(Masked):
    """A mask of None allows everything."""

    def inform(self):
        return super().inform() if self.time == 1 else {"action_mask": None}


class MaskedOnly(Masked):
    observation_space = spaces.Dict({"action_mask": spaces.MultiBinary(5)})

    def observe(self):
        return {"action_mask": np.concatenate(self.masks())}


class Tuples(Script):
    """Takes a tuple, at any depth of its argument, and observes the second number."""

    def __init__(self, size, options=None):
        super().__init__()
        if not isinstance(size, tuple) or not isinstance((options or {}).get("goal", ()), tuple):
            raise TypeError("must be tuples")
        self.size = size

    def reset(self, **arguments):
        super().reset(**arguments)
        return np.full(3, self.size[1], np.float32), {}


class Item(Script):
    """Calls a method that NumPy's integers have."""

    def step(self, action):
        self.time += 1  # a step that fails isn't one
        choice = action.item()
        self.time -= 1
        return super().step(choice)


class Wide(Script):
    """Observes the number `base`, plus `step` for each step and `offset` on every second one."""

    def __init__(self, base, step=0, offset=0, kind="float64", length=20):
        super().__init__(length)
        self.of_time = lambda time: base + step * time + offset * (time % 2)
        self.observation_space = spaces.Dict(
            {
                "number": spaces.Dict(
                    {"wide": spaces.Box(0, 2**31 - 1, (1,), np.dtype(kind).type)}
                ),
                "other": spaces.Box(-1, 1, (2,), np.float64),
            }
        )

    def reset(self, **arguments):
        super().reset(**arguments)
        return self.observe(), {}

    def step(self, action):
        return self.observe(), *super().step(action)[1:]

    def observe(self):
        kind = self.observation_space["number"]["wide"].dtype
        return {
            "number": {"wide": np.array([self.of_time(self.time)], kind)},
            "other": self.np_random.uniform(-1, 1, 2),
        }


class Camera(Script):
    """Renders RGBA, and names its frames per second as text."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": "10"}  # noqa: RUF012

    def __init__(self, render_mode=None):
        super().__init__()
        self.render_mode = render_mode

    def render(self):
        return np.full((16, 16, 4), (10, 20, 30, 0), np.uint8)


class WorkerId(Script):
    """Observes the worker id that it was built with."""

    def __init__(self, worker_id):
        super().__init__()
        self.worker_id = worker_id

    def reset(self, **arguments):
        super().reset(**arguments)
        return np.full(3, self.worker_id, np.float32), {}


class Broken(Script):
    """Fails by action: 1 raises, 2 dies, 3 exits."""

    def step(self, action):
        if action == 1:
            raise ValueError("the motor is stuck")
        if action == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if action == 3:
            os._exit(3)
        return super().step(action)


class Crawling(CartPoleEnv):
    """CartPole, slowed down by a pause in each step while the working directory has a file `crawl`.

    A test can make training last as long as it needs; the result is the same as at full speed.

    Args:
        pause: seconds.
    """

    def __init__(self, pause=1e-3, **options):
        super().__init__(**options)
        self._pause = pause

    def step(self, action):
        if os.path.exists("crawl"):
            time.sleep(self._pause)
        return super().step(action)


def _loop():
    while True:
        pass


def _swallow():
    """Hang, and catch every exception."""
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(0.1)


class Faulty(Script):
    """Has the fault that its argument names, from step `at` on.

    With a level, it has the fault only in episodes of that level.
    """

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, fault="nothing", at=3, length=100, level=None, render_mode=None):
        super().__init__(length)
        self.fault, self.at, self.level, self.render_mode = fault, at, level, render_mode
        if fault == "constructor":
            raise ValueError("no such motor")
        if fault == "constructor hangs":
            time.sleep(1e6)
        if fault == "constructor exits":
            raise SystemExit(0)

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed)
        if self.fault == "reset raises":
            raise KeyError("map")
        if self.fault == "reset hangs":
            _loop()
        if self.fault == "observation only":
            return observation
        if self.fault == "reset's shape":
            return observation[:2], info
        return observation, info

    def step(self, action):
        answer = super().step(action)
        if self.time < self.at or self.level not in (None, int(self.observation[0])):
            return answer
        observation, reward, terminated, _, info = answer
        faults = {
            "raises": lambda: {}["motor"],
            "lacks": lambda: action.speed,
            "exits": sys.exit,
            "sleeps": lambda: time.sleep(1e6),
            "loops": _loop,
            "swallows": _swallow,
            "keeps the lock": lambda: sum(itertools.count()),
            "four values": lambda: (observation, reward, terminated, info),
            "None": lambda: None,
            "shape": lambda: (observation[:1], *answer[1:]),
            "type": lambda: (observation.astype(complex), *answer[1:]),
            "nan observation": lambda: (np.array([1, np.nan, 0], np.float32), *answer[1:]),
            "infinite last observation": lambda: (
                np.array([1, 0, np.inf], np.float32),
                reward,
                False,
                True,
                info,
            ),
            "nan reward": lambda: (observation, float("nan"), *answer[2:]),
            "infinite reward": lambda: (observation, np.float64("inf"), *answer[2:]),
            "reward of None": lambda: (observation, None, *answer[2:]),
            "array of rewards": lambda: (observation, np.ones(1), *answer[2:]),
            "end of None": lambda: (observation, reward, None, *answer[3:]),
            "info of None": lambda: (*answer[:4], None),
        }
        return faults.get(self.fault, lambda: answer)()

    def close(self):
        faults = {
            "close raises": lambda: {}["window"],
            "close exits": sys.exit,
            "close hangs": _loop,
        }
        faults.get(self.fault, lambda: None)()

    def render(self):
        frame = np.zeros((16, 16, 3), np.uint8)
        rendered = {
            "renders nothing": None,
            "renders text": "a map",
            "renders rows": [[1], [1, 2]],
            "renders floats": frame / 255,
            "renders gray": frame[..., 0],
            "renders other sizes": frame if self.time < self.at else frame[:8],
        }
        return rendered.get(self.fault, frame)


class Parent(Script):
    """Starts a child process in each reset, and ends it as Python's manual shows."""

    def reset(self, **arguments):
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1e6,))
        child.start()
        child.terminate()
        child.join()
        self.exit_code = child.exitcode
        return super().reset(**arguments)

    def step(self, action):
        *answer, info = super().step(action)
        return *answer, {**info, "exit_code": self.exit_code}


class Wandering(Script):
    """Changes the working folder, as some simulators do to find their files."""

    def __init__(self, render_mode=None):
        super().__init__()
        os.chdir("/")

    def reset(self, **arguments):
        os.chdir("/usr")
        return super().reset(**arguments)

    def render(self):
        return np.zeros((16, 16, 3), np.uint8)


class Informing(Script):
    """Reports what games report, in each step."""

    def step(self, action):
        *answer, _ = super().step(action)
        return *answer, {
            "level": 7,
            "return": np.float32(-1),
            "length": np.int8(0),
            (0, 1): 2.0,
            3: np.array(4),
            "ratio": float("nan") if self.observation[0] == 1 else 0.5,
            "depth": float("-inf"),
            "atoms": 10**400,
            "a/b/../c": 1e308,
            "array": np.ones(1),
            "none": None,
        }


class Harmless(Script):
    """Has harmless faults only: no `options`, other types, values beyond the bounds."""

    observation_space = spaces.Box(0, 1, (3,), np.float32)

    def reset(self, seed=None):
        return super().reset(seed=seed)[0].tolist(), {}

    def step(self, action):
        observation, reward, *ends, info = super().step(action)
        return observation.astype(float), np.array(reward), *map(np.bool_, ends), info


class BrokenFromTheStart(Script):
    """Can be built once, for the probe, but not in a worker process."""

    def __init__(self):
        super().__init__()
        import multiprocessing

        if multiprocessing.parent_process() is not None:
            raise ValueError("no display in here")


def board(low, high, shape):
    return spaces.Box(low, high, shape, np.uint8)


OBSERVED = {
    "Image": spaces.Box(0, 255, (36, 39), np.uint8),
    "Nested": spaces.Dict(
        {
            "a": spaces.Tuple((spaces.Discrete(3), spaces.MultiBinary(2))),
            "b": spaces.MultiDiscrete([2, 3]),
        }
    ),
    "Text": spaces.Dict({"word": spaces.Text(5), "number": spaces.Discrete(2)}),
    "Reserved": spaces.Dict(
        {"vector": spaces.Box(0, 255, (36, 36, 3), np.uint8), "other": spaces.Discrete(2)}
    ),
    "Board": board(0, 1, (9, 9)),
    "BoardOfTwenty": board(5, 20, (3, 2, 2)),
    "BoardInDict": spaces.Dict({"board": board(0, 9, (2, 3)), "a": spaces.Discrete(2)}),
    "DarkImage": board(0, 15, (36, 36)),
    "ChannelsFirst": board(0, 255, (3, 40, 50)),
    "OneChannelFirst": board(0, 255, (1, 40, 50)),
    "Frames": board(0, 255, (4, 40, 50, 3)),
    "FramesOfChannels": board(0, 255, (4, 3, 40, 50)),
    "FramesLast": board(0, 255, (40, 50, 3, 4)),
    "ChannelsInside": board(0, 255, (40, 3, 50)),
    "ImageInDict": spaces.Dict(
        {"camera": spaces.Dict({"rgb": board(0, 255, (40, 50, 3))}), "x": spaces.Discrete(2)}
    ),
    "ImageInTuple": spaces.Tuple((board(0, 255, (40, 50, 3)), spaces.Discrete(2))),
    "TwoOfOneName": spaces.Dict(
        {"a/b": board(0, 255, (40, 50)), "a": spaces.Dict({"b": board(0, 255, (40, 50))})}
    ),
    "OddNames": spaces.Dict(
        {name: board(0, 255, (36, 36)) for name in ("a.b", "", "values", "training", "0", "%")}
    ),
    "ImageNamedVector": spaces.Dict({"vector": board(0, 255, (36, 36))}),
    "Nothing": spaces.Dict({}),
    "NoNumbers": spaces.Box(0, 1, (0,), np.float32),
    "NoPixels": board(0, 255, (40, 40, 0)),
    "FiveChannels": spaces.Box(0, 255, (8, 8, 5), np.uint8),
}
MASKED = (
    MaskedInfoOfBranches,
    MaskedMethod,
    MaskedObserved,
    MaskedUntilTheEnd,
    MaskedClosedAtTwo,
    MaskedForgetful,
    MaskedShort,
    MaskedContinuous,
    MaskedReserved,
    MaskedReservedImage,
    MaskedOnSteps,
    MaskedByNone,
    MaskedOnly,
)
ACTED = {
    "Shifted": spaces.Discrete(3, start=-1),
    "Branches": spaces.MultiDiscrete([2, 3, 4]),
    "ShiftedBranches": spaces.MultiDiscrete([2, 3], start=[5, -1]),
    "Matrix": spaces.MultiDiscrete([[2, 3], [4, 5]]),
    "Switches": spaces.MultiBinary(3),
    "Square": spaces.Box(
        np.array([[-1, -2], [0, 0.1]]), np.array([[1, 2], [3, 0.7]]), (2, 2), np.float64
    ),
    "Unbounded": spaces.Box(
        -np.inf, np.array([np.inf, np.inf, 0.25], np.float32), (3,), np.float32
    ),
    "Whole": spaces.Box(0, 3, (2,), np.int32),
    "Fixed": spaces.Box(np.array([0.1, -1.0]), np.array([0.1, 1.0]), dtype=np.float64),
    "Valve": spaces.Box(np.array([-1, 100]), np.array([1, 200]), dtype=np.float32),
    "HalfOpen": spaces.Box(-np.inf, -7, (1,), np.float32),
    "Tiny": spaces.Box(-1e-5, 1e-5, (1,), np.float32),
    "NoActions": spaces.Box(0, 1, (0,), np.float32),
    "Hybrid": spaces.Dict({"choice": spaces.Discrete(2), "speed": spaces.Box(0, 1, (1,))}),
}


def _register():
    for end in ("terminated", "truncated", "both"):
        gymnasium.register(f"Script{end.capitalize()}-v0", Script, kwargs={"end": end})
    gymnasium.register("ScriptLong-v0", Script, kwargs={"length": 6})
    gymnasium.register("ScriptTimeLimit-v0", Script, max_episode_steps=2)
    gymnasium.register("Crawling-v0", Crawling, max_episode_steps=500)
    gymnasium.register("ShortPendulum-v0", PendulumEnv, max_episode_steps=20)
    gymnasium.register("Random-v0", Random)
    gymnasium.register("AnyTaxi-v0", TaxiEnv)  # under a name that is the same in all releases
    gymnasium.register("ShortTaxi-v0", TaxiEnv, max_episode_steps=20)
    gymnasium.register("MaskedInfo-v0", Masked)
    for masked in MASKED:
        gymnasium.register(f"{masked.__name__}-v0", masked)
    gymnasium.register("WorkerId-v0", WorkerId)
    for kind in (Tuples, Item, Wide, Camera):
        gymnasium.register(f"{kind.__name__}-v0", kind)
    gymnasium.register("Broken-v0", Broken)
    gymnasium.register("Faulty-v0", Faulty)
    gymnasium.register("Harmless-v0", Harmless)
    gymnasium.register("Parent-v0", Parent)
    gymnasium.register("Wandering-v0", Wandering)
    gymnasium.register("Informing-v0", Informing)
    gymnasium.register("BrokenFromTheStart-v0", BrokenFromTheStart)
    for name, space in OBSERVED.items():
        gymnasium.register(f"{name}-v0", Spaces, kwargs={"observation_space": space})
    for name, space in ACTED.items():
        gymnasium.register(f"{name}-v0", Spaces, kwargs={"action_space": space})


if "Random-v0" not in gymnasium.registry:
    _register()


def name(identifier):
    """Return the name of an environment of this module in configs."""
    return f"tests.environments.scripted:{identifier}-v0"
