"""Finds the type that an id belongs to and its spelling there, also for ids of other packages."""

from __future__ import annotations

import re

import gymnasium

CARTPOLE_NAMES = ("CartPole-v0", "CartPole-v1")
_MINIGRID_PREFIXES = ("MiniGrid-", "BabyAI-")

_PROCGEN_GAMES = """
bigfish bossfight caveflyer chaser climber coinrun dodgeball fruitbot heist jumper leaper maze miner
ninja plunder starpilot
""".split()  # noqa: SIM905  # a literal list would take a line for each
_ATARI_GAMES = """
Adventure AirRaid Alien Amidar Assault Asterix Asteroids Atlantis Atlantis2 Backgammon BankHeist
BasicMath BattleZone BeamRider Berzerk Blackjack Bowling Boxing Breakout Carnival Casino Centipede
ChopperCommand CrazyClimber Crossbow Darkchambers Defender DemonAttack DonkeyKong DoubleDunk Earthworld
ElevatorAction Enduro Entombed Et FishingDerby FlagCapture Freeway Frogger Frostbite Galaxian Gopher
Gravitar Hangman HauntedHouse Hero HumanCannonball IceHockey Jamesbond JourneyEscape Kaboom Kangaroo
KeystoneKapers KingKong Klax Koolaid Krull KungFuMaster LaserGates LostLuggage MarioBros MiniatureGolf
MontezumaRevenge MrDo MsPacman NameThisGame Othello Pacman Phoenix Pitfall Pitfall2 Pong Pooyan
PrivateEye Qbert Riverraid RoadRunner Robotank Seaquest SirLancelot Skiing Solaris SpaceInvaders
SpaceWar StarGunner Superman Surround Tennis Tetris TicTacToe3d TimePilot Trondead Turmoil Tutankham
UpNDown Venture VideoCheckers VideoChess VideoCube VideoPinball WizardOfWor WordZapper YarsRevenge
Zaxxon
""".split()  # noqa: SIM905  # a literal list would take a line for each
_ATARI_BY_LOWER = {game.lower(): game for game in _ATARI_GAMES}
# Ids as ALE, the old Gym and EnvPool write them.
_ATARI_ID = re.compile(r"(ALE/)?(\w+?)(-ram)?(NoFrameskip|Deterministic)?-v[0-9]+")
_PROCGEN_ID = re.compile(r"(?:\w+/)?(?:procgen-)?(\w+?)(Easy|Hard|Exploration|Memory|Extreme)?-v0")


def registered_type(identifier: str) -> str:
    """Return the type of an id that is registered with Gymnasium."""
    if identifier in CARTPOLE_NAMES:
        return "CartPole"
    return "Minigrid" if identifier.startswith(_MINIGRID_PREFIXES) else "Gymnasium"


def rightful_type(identifier: str) -> tuple[str, str] | None:
    """Return the type that has an id's environment, and the id that it has there.

    Return None if no type has it, as far as packages are imported.
    """
    if identifier.startswith(_MINIGRID_PREFIXES) or identifier in gymnasium.registry:
        return registered_type(identifier), identifier
    procgen = _PROCGEN_ID.fullmatch(identifier)
    if procgen and procgen[1].lower() in _PROCGEN_GAMES:
        game = procgen[1].capitalize()
        # Procgen's own ids stand for the hard levels.
        return "Procgen", f"{game}{procgen[2] or 'Hard'}-v0"
    atari = _ATARI_ID.fullmatch(identifier)
    game = _ATARI_BY_LOWER.get(atari[2].lower().replace("_", "")) if atari else None
    return ("Atari", f"{game}-v5") if game else None


def refusal(name: str, suite: str) -> str | None:
    """Return a line if another type has the id, or if this type spells it otherwise; else None."""
    identifier = name.rpartition(":")[2]
    rightful = rightful_type(identifier)
    # CartPole is registered with Gymnasium like any other environment, so both types play it.
    if rightful in (None, (suite, identifier)) or (
        suite == "Gymnasium" and rightful[0] == "CartPole"
    ):
        return None
    owner, right = rightful
    if owner == suite:
        return f"environment.name: {suite} knows no environment {name}; did you mean {right}?"
    renamed = "" if right == identifier else f" and environment.name to {right}"
    alternative = f", or use {' or '.join(CARTPOLE_NAMES)}" if suite == "CartPole" else ""
    return (
        f"environment.name: {name} isn't of type {suite}; set environment.type to {owner}"
        f"{renamed}{alternative}"
    )
