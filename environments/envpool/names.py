"""Lists the environments that EnvPool plays exactly as their originals do, by suite.

They were compared step by step where a state can be set (CartPole, MountainCar, Acrobot) or the layout
is fixed, and otherwise by statistics of first observations and of random play. The list leaves out:

- MiniGrid-ObstructedMaze with boxes, which have another colour,
- MiniGrid-MultiRoom, where the view sometimes reaches farther,
- BabyAI-ActionObjDoor, where some doors are locked,
- BabyAI-PutNext...Carrying, where the object carried at the start is visible,
- MiniGrid-WFC, because its original needs a file that its package lacks,
- BabyAI-SynthS5R2, because its original may never finish making a level,
- CliffWalking, FrozenLake, Taxi and Blackjack, because their observations have another form,
- LunarLander, because its physics can't be compared step by step, and a trained policy lands a little
  worse (a mean return of 242 ± 2 instead of 251 ± 2 in 400 episodes each).

Learning was compared, too, on tasks of most kinds with ten seeds each
(`benchmarks/learning.py --backends`): no difference was beyond chance. MiniGrid-LavaGapS5 seemed to
differ, but its training is the same to the bit when Gymnasium plays EnvPool's levels (docs/results.md).
"""

from __future__ import annotations

# Names without their prefixes.
_MINIGRID = """
Empty-5x5-v0 Empty-6x6-v0 Empty-8x8-v0 Empty-16x16-v0 Empty-Random-5x5-v0 Empty-Random-6x6-v0
DoorKey-5x5-v0 DoorKey-6x6-v0 DoorKey-8x8-v0 DoorKey-16x16-v0 DistShift1-v0 DistShift2-v0
LavaCrossingS9N1-v0 LavaCrossingS9N2-v0 LavaCrossingS9N3-v0 LavaCrossingS11N5-v0
SimpleCrossingS9N1-v0 SimpleCrossingS9N2-v0 SimpleCrossingS9N3-v0 SimpleCrossingS11N5-v0
LavaGapS5-v0 LavaGapS6-v0 LavaGapS7-v0 Dynamic-Obstacles-5x5-v0 Dynamic-Obstacles-Random-5x5-v0
Dynamic-Obstacles-6x6-v0 Dynamic-Obstacles-Random-6x6-v0 Dynamic-Obstacles-8x8-v0
Dynamic-Obstacles-16x16-v0 Fetch-5x5-N2-v0 Fetch-6x6-N2-v0 Fetch-8x8-N3-v0 FourRooms-v0
GoToDoor-5x5-v0 GoToDoor-6x6-v0 GoToDoor-8x8-v0 GoToObject-6x6-N2-v0 GoToObject-8x8-N2-v0
KeyCorridorS3R1-v0 KeyCorridorS3R2-v0 KeyCorridorS3R3-v0 KeyCorridorS4R3-v0 KeyCorridorS5R3-v0
KeyCorridorS6R3-v0 LockedRoom-v0 MemoryS17Random-v0 MemoryS13Random-v0 MemoryS13-v0 MemoryS11-v0
MemoryS9-v0 MemoryS7-v0 ObstructedMaze-1Dl-v0 ObstructedMaze-2Dl-v0 Playground-v0
PutNear-6x6-N2-v0 PutNear-8x8-N3-v0 RedBlueDoors-6x6-v0 RedBlueDoors-8x8-v0 Unlock-v0
UnlockPickup-v0 BlockedUnlockPickup-v0
""".split()  # noqa: SIM905  # a literal list would take a line for each
_BABYAI = """
BlockedUnlockPickup-v0 BossLevel-v0 BossLevelNoUnlock-v0 FindObjS5-v0 FindObjS6-v0 FindObjS7-v0
GoTo-v0 GoToOpen-v0 GoToObjMaze-v0 GoToObjMazeOpen-v0 GoToObjMazeS4-v0 GoToObjMazeS4R2-v0
GoToObjMazeS5-v0 GoToObjMazeS6-v0 GoToObjMazeS7-v0 GoToDoor-v0 GoToImpUnlock-v0 GoToLocal-v0
GoToLocalS5N2-v0 GoToLocalS6N2-v0 GoToLocalS6N3-v0 GoToLocalS6N4-v0 GoToLocalS7N4-v0
GoToLocalS7N5-v0 GoToLocalS8N2-v0 GoToLocalS8N3-v0 GoToLocalS8N4-v0 GoToLocalS8N5-v0
GoToLocalS8N6-v0 GoToLocalS8N7-v0 GoToObj-v0 GoToObjS4-v0 GoToObjS6-v1 GoToObjDoor-v0
GoToRedBall-v0 GoToRedBallGrey-v0 GoToRedBallNoDists-v0 GoToRedBlueBall-v0 GoToSeq-v0
GoToSeqS5R2-v0 KeyCorridor-v0 KeyCorridorS3R1-v0 KeyCorridorS3R2-v0 KeyCorridorS3R3-v0
KeyCorridorS4R3-v0 KeyCorridorS5R3-v0 KeyCorridorS6R3-v0 KeyInBox-v0 MiniBossLevel-v0
MoveTwoAcrossS5N2-v0 MoveTwoAcrossS8N9-v0 OneRoomS8-v0 OneRoomS12-v0 OneRoomS16-v0 OneRoomS20-v0
Open-v0 OpenDoor-v0 OpenDoorColor-v0 OpenDoorDebug-v0 OpenDoorLoc-v0 OpenDoorsOrderN2-v0
OpenDoorsOrderN2Debug-v0 OpenDoorsOrderN4-v0 OpenDoorsOrderN4Debug-v0 OpenRedBlueDoors-v0
OpenRedBlueDoorsDebug-v0 OpenRedDoor-v0 OpenTwoDoors-v0 Pickup-v0 PickupAbove-v0 PickupDist-v0
PickupDistDebug-v0 PickupLoc-v0 PutNextLocal-v0 PutNextLocalS5N3-v0 PutNextLocalS6N4-v0
PutNextS4N1-v0 PutNextS5N1-v0 PutNextS5N2-v0 PutNextS6N3-v0 PutNextS7N4-v0 Synth-v0 SynthLoc-v0
SynthSeq-v0 UnblockPickup-v0 Unlock-v0 UnlockLocal-v0 UnlockLocalDist-v0 UnlockPickup-v0
UnlockPickupDist-v0 UnlockToUnlock-v0
""".split()  # noqa: SIM905  # a literal list would take a line for each
_NAMES = {
    "CartPole": {"CartPole-v0", "CartPole-v1"},
    "Gymnasium": {
        "Acrobot-v1",
        "CartPole-v0",
        "CartPole-v1",
        "MountainCar-v0",
    },
    "Minigrid": {
        *(f"MiniGrid-{name}" for name in _MINIGRID),
        *(f"BabyAI-{name}" for name in _BABYAI),
    },
}
# Suites that only EnvPool has.
_ENVPOOL_SUITES = ("Procgen", "Atari")


def is_in_envpool(suite: str, name: str) -> bool:
    """Return whether EnvPool plays the same task under the same name."""
    return suite in _ENVPOOL_SUITES or name in _NAMES.get(suite, ())
