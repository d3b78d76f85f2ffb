"""A stand-in for a Unity player, which mlagents-envs starts and which speaks ML-Agents' protocol.

mlagents-envs starts a player by its path alone, so `tests/unity_player/build.py` writes an executable
script that starts this module.
"""

import argparse
import os
import struct
import sys
import time
import uuid
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).parent))
import scenes
from mlagents_envs.communicator_objects.command_pb2 import RESET
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
from mlagents_envs.communicator_objects.unity_to_external_pb2_grpc import UnityToExternalProtoStub
from recorder import Recorder

QUIT = 400
PARAMETERS = uuid.UUID("534c891e-810f-11ea-a9d0-822485860400")
ENGINE = uuid.UUID("e951342c-4f7e-11ea-b238-784f4387d1f7")
ENGINE_KEYS = ["screen_size", "quality_level", "time_scale", "target_rate", "capture_rate"]


class Gone(Exception):  # noqa: N818  # not an error
    """The trainer asked to quit, or closed its end of the connection."""


class Trainer:
    """The connection to the trainer."""

    def __init__(self, port):
        channel = grpc.insecure_channel(f"localhost:{port}", [("grpc.enable_http_proxy", 0)])
        # Like a real player, it doesn't wait: the trainer listens before it starts players.
        self._exchange = UnityToExternalProtoStub(channel).Exchange

    def exchange(self, output=None):
        """Send a player's message; return the trainer's answer."""
        message = UnityMessageProto()
        message.header.status = 200
        if output is not None:
            message.unity_output.CopyFrom(output)
        try:
            answer = self._exchange(message)
        except grpc.RpcError as error:
            raise Gone from error
        if answer.header.status == QUIT:
            raise Gone
        return answer.unity_input


def read_side_channels(data):
    """Return the environment parameters and engine settings in a side-channel message."""
    parameters, engine = {}, {}
    while data:
        channel, length = uuid.UUID(bytes_le=data[:16]), struct.unpack_from("<i", data, 16)[0]
        message, data = data[20 : 20 + length], data[20 + length :]
        if channel == PARAMETERS:
            size = struct.unpack_from("<i", message)[0]
            name = message[4 : 4 + size].decode("ascii")
            parameters[name] = struct.unpack_from("<f", message, 8 + size)[0]
        elif channel == ENGINE:
            key = ENGINE_KEYS[struct.unpack_from("<i", message)[0]]
            form = {"screen_size": "<ii", "time_scale": "<f"}.get(key, "<i")
            engine[key] = struct.unpack_from(form, message, 4)
    return parameters, engine


def fail_if_asked(mode, step):
    """Fail in the way that `--fail=WAY:STEP[:MARKER]` names.

    With a marker, a file, only the first player does.
    """
    way, _, rest = mode.partition(":")
    number, _, marker = rest.partition(":")
    if way in ("die", "hang", "quit") and step == int(number):
        if marker:
            try:
                Path(marker).touch(exist_ok=False)
            except FileExistsError:
                return
        if way == "die":
            os._exit(3)
        if way == "quit":
            raise Gone
        time.sleep(3600)
    if way == "slow":
        time.sleep(float(number))


def play(options):
    """Run a player until the trainer asks it to quit."""
    scene = scenes.SCENES[options.scene](options)
    recorder = Recorder(options.record, options.port)
    recorder.note("start", arguments=sys.argv[1:], process=os.getpid())
    if options.fail == "deaf":
        time.sleep(3600)
    trainer = Trainer(options.port)
    initial = trainer.exchange(scene.introduction(options.version))
    scene.seed = initial.rl_initialization_input.seed
    if options.fail == "mute":
        time.sleep(3600)
    told = trainer.exchange()
    step = 0
    while True:
        parameters, engine = read_side_channels(told.rl_input.side_channel)
        if parameters or engine:
            recorder.note("told", parameters=parameters, engine=engine)
        if told.rl_input.command == RESET:
            output = scene.reset(parameters)
        else:
            step += 1
            fail_if_asked(options.fail, step)
            output = scene.step(told.rl_input.agent_actions)
        for event in scene.take_events():
            recorder.note(**event)
        told = trainer.exchange(output)


def main():
    """Parse the command line, with arguments from mlagents-envs and from a config; then play."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--mlagents-port", type=int, dest="port")
    parser.add_argument("--home")
    parser.add_argument("-nographics", action="store_true")
    parser.add_argument("-batchmode", action="store_true")
    parser.add_argument("--scene", default="copy", choices=scenes.SCENES)
    parser.add_argument("--agents", type=int, default=1)
    parser.add_argument("--length", type=int, default=8)
    parser.add_argument("--interrupt", action="store_true", help="ends are interruptions")
    parser.add_argument("--lazy", type=int, default=1, help="agent i acts every 1 + i * lazy steps")
    parser.add_argument("--record", default="")
    parser.add_argument("--fail", default="")
    parser.add_argument("--version", default="1.5.0")
    options = parser.parse_args()
    try:
        play(options)
    except Gone:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
