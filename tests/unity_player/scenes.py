"""The stand-in's scenes: ML-Agents agents see a cue in each step and are rewarded for following it.

"Agent" means an ML-Agents agent here. The best policy follows every cue, and earns 1 in each step.
"""

import io
import random

from mlagents_envs.communicator_objects.observation_pb2 import PNG
from mlagents_envs.communicator_objects.unity_output_pb2 import UnityOutputProto
from PIL import Image


class Agent:
    """An agent in one of its episodes."""

    def __init__(self, number, episode):
        self.number = number
        self.episode = episode  # ML-Agents' agent_id, new in each episode
        self.time = 0
        self.wait = 0
        self.reward = 0.0
        self.cue = None


class Scene:
    """A scene with cues; subclasses choose the cues and how agents observe them.

    Attributes:
        branches: number of actions in each branch.
        continuous: number of continuous actions.
    """

    branches = (3,)
    continuous = 0
    behaviors = ("Copy?team=0",)

    def __init__(self, options):
        self.options = options
        self.seed = 0
        self.random = random.Random(0)
        self.parameters = {}
        self.agents = []
        self.ended = []
        self.events = []
        self.episodes = 0
        self.introduced = False

    def introduction(self, version):
        output = UnityOutputProto()
        about = output.rl_initialization_output
        about.name, about.package_version, about.communication_version = (
            "stand-in",
            "2.2.1",
            version,
        )
        about.capabilities.baseRLCapabilities = True
        return output

    def take_events(self):
        events, self.events = self.events, []
        return events

    def reset(self, parameters):
        self.parameters |= parameters
        self.random.seed(int(self.parameters.get("seed", self.seed)))
        self.ended = []
        self.agents = [self.begin(number) for number in range(self.options.agents)]
        return self.output()

    def begin(self, number):
        self.episodes += 1
        agent = Agent(number, self.episodes)
        agent.cue = self.draw_cue()
        self.note(agent, "begin")
        return agent

    def step(self, actions):
        self.ended = []
        given = {
            agent.episode: action
            for behavior in self.behaviors[:1]
            for agent, action in zip(self.asking(), actions[behavior].value, strict=True)
        }
        for place, agent in enumerate(self.agents):
            if agent.episode not in given:
                agent.wait -= 1
                continue
            agent.wait = agent.number * self.options.lazy if self.options.lazy > 1 else 0
            agent.time += 1
            agent.reward = self.judge(agent, given[agent.episode])
            agent.cue = self.draw_cue()
            if agent.time >= self.length(agent):
                self.note(agent, "end")
                self.ended.append(agent)
                self.agents[place] = self.begin(agent.number)
            else:
                self.note(agent, "step")
        return self.output()

    def asking(self):
        """Return the agents that ask for a decision now; the others let some steps pass."""
        return [agent for agent in self.agents if agent.wait <= 0]

    def length(self, agent):
        """Return the length of an episode; lengths differ, so that ends come at different times."""
        return int(self.parameters.get("length", self.options.length)) + agent.number

    def draw_cue(self):
        return [self.random.randrange(choices) for choices in self.branches]

    def judge(self, agent, action):
        follows = [a == cue for a, cue in zip(action.discrete_actions, agent.cue, strict=True)]
        return sum(follows) / len(follows)

    def vectors(self, agent):
        """Return the vector observations: each branch's cue, one-hot."""
        return [
            [float(choice == cue) for choice in range(choices)]
            for choices, cue in zip(self.branches, agent.cue, strict=True)
        ]

    def images(self, agent):
        """Return the visual observations: Pillow images, and whether to compress each."""
        return []

    def mask(self, agent):
        """Return whether each action of each branch is forbidden; none is."""
        return []

    def note(self, agent, event):
        self.events.append(
            {
                "event": event,
                "agent": agent.number,
                "episode": agent.episode,
                "reward": agent.reward,
                "vectors": self.vectors(agent),
                "pixels": [list(image.getdata())[:2] for image, _ in self.images(agent)],
                "mask": self.mask(agent),
            }
        )

    def output(self):
        output = UnityOutputProto()
        for number, behavior in enumerate(self.behaviors):
            infos = output.rl_output.agentInfos[behavior].value
            agents = self.asking() if number == 0 else self.agents
            for agent in agents:
                self.describe(agent, infos.add(), done=False)
            for agent in self.ended if number == 0 else []:
                self.describe(agent, infos.add(), done=True)
            if not self.introduced and len(infos):
                about = output.rl_initialization_output.brain_parameters.add()
                about.brain_name, about.is_training = behavior, True
                about.action_spec.num_continuous_actions = self.continuous
                about.action_spec.num_discrete_actions = len(self.branches)
                about.action_spec.discrete_branch_sizes.extend(self.branches)
        self.introduced = self.introduced or bool(self.asking())
        for agent in self.asking():
            agent.reward = 0.0
        return output

    def describe(self, agent, info, done):
        info.id, info.reward, info.done = agent.episode, agent.reward, done
        info.max_step_reached = done and self.options.interrupt
        if not done:
            info.action_mask.extend(self.mask(agent))
        for image, compressed in self.images(agent):
            observed = info.observations.add()
            channels = len(image.getbands())
            observed.shape.extend([image.height, image.width, channels])
            observed.name = "camera"
            if compressed:
                observed.compression_type = PNG
                stream = io.BytesIO()
                image.convert("RGB").save(stream, "PNG")
                observed.compressed_data = stream.getvalue()
            else:
                observed.float_data.data.extend(value / 255 for value in image.tobytes())
        for vector in self.vectors(agent):
            observed = info.observations.add()
            observed.shape.append(len(vector))
            observed.float_data.data.extend(vector)
            observed.name = "vector"


class Copy(Scene):
    """One cue of three, seen as one vector."""


class Senses(Scene):
    """Two cues; two images, one of them compressed, and a vector for each cue; masks."""

    branches = (3, 2)

    def images(self, agent):
        first, second = agent.cue
        shade = (80 * first, 100 * second, agent.time % 256)
        return [
            (Image.new("RGB", (40, 36), shade), True),
            (Image.new("L", (36, 38), 50 * agent.number + 5 * first), False),
        ]

    def mask(self, agent):
        """Forbid, in the first branch, the action after the right one."""
        forbidden = (agent.cue[0] + 1) % 3
        return [choice == forbidden for choice in range(3)] + [False, False]

    def judge(self, agent, action):
        if self.mask(agent)[action.discrete_actions[0]]:
            return -1.0
        return super().judge(agent, action)


class Reach(Scene):
    """Two continuous actions, each rewarded for being near its cue."""

    branches = ()
    continuous = 2

    def draw_cue(self):
        # Numbers that float32 holds exactly.
        return [self.random.randrange(-8, 9) / 8 for _ in range(2)]

    def judge(self, agent, action):
        pairs = zip(action.continuous_actions, agent.cue, strict=True)
        return 1 - sum(abs(a - cue) for a, cue in pairs) / 4

    def vectors(self, agent):
        return [list(agent.cue)]


class Hybrid(Copy):
    """Discrete and continuous actions at the same time."""

    continuous = 2


class Crowd(Copy):
    """Two behaviours; only the first one is rewarded."""

    behaviors = ("Copy?team=0", "Other?team=1")


class Growing(Copy):
    """A scene that gains an agent in the first step."""

    def step(self, actions):
        output = super().step(actions)
        if len(self.agents) == self.options.agents:
            self.agents.append(self.begin(self.options.agents))
            return self.output()
        return output


class Late(Copy):
    """A scene in which agents let two steps pass between episodes."""

    def begin(self, number):
        agent = super().begin(number)
        agent.wait = 2 if agent.episode > self.options.agents else 0
        return agent


class Tower(Scene):
    """A small Obstacle Tower: one floor for every two cues followed."""

    branches = (3, 3, 2, 3)
    behaviors = ("LearningAgent?team=0",)

    def __init__(self, options):
        super().__init__(options)
        self.followed = 0

    def reset(self, parameters):
        self.followed = 0
        self.random.seed(int({**self.parameters, **parameters}.get("tower-seed", 0)))
        return super().reset({**parameters, "seed": self.parameters.get("tower-seed", 0)})

    def draw_cue(self):
        return [self.random.randrange(choices) for choices in (2, 3, 2, 1)]

    def judge(self, agent, action):
        reward = super().judge(agent, action)
        self.followed += reward == 1
        return reward

    @property
    def floor(self):
        return int(self.parameters.get("starting-floor", 0)) + self.followed // 2

    def images(self, agent):
        first, second, third, _ = agent.cue
        return [(Image.new("RGB", (42, 42), (200 * first, 100 * second, 200 * third)), True)]

    def vectors(self, agent):
        keys = [float(number == 2) for number in range(6)]
        return [[*keys, 3000.0 - agent.time, float(self.floor)]]


SCENES = {
    kind.__name__.lower(): kind
    for kind in (Copy, Senses, Reach, Hybrid, Crowd, Growing, Late, Tower)
}
