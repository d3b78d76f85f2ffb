"""Acting in observations of bytes, of which many are the same: a network sees each once in a rollout.

Axes: steps T, workers N, numbers K of an observation, outputs O of the policy; D observations differ.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numerics.compiler import entry, jit
from numerics.functions import f32
from ppo.by_numba import layers
from ppo.by_numba.deciding import (
    Actions,
    Actor,
    choose_or_draw,
    outputs_of_taken_in,
    values_of_taken_in,
)
from ppo.by_numba.distributions import FORBIDDEN, forbid_observed, log_softmax
from ppo.by_numba.inputs import copy


class Seen(NamedTuple):
    """What was observed in a rollout so far.

    Attributes:
        bytes: (T * N, K) uint8, observations.
        masks: (T * N, O) uint8, 0 where a choice is forbidden; (0, 0) where none ever is.
        weights: (K + O,) uint32, random, by which observations are told apart.
        table: (a power of 2,) int64, which one has a sum, or those after it; -1 for none.
        first: (T * N,) int64, where each that differs was observed first.
        numbers: (T * N,) int64, which of these each is.
        found: (1,) int64, D.
        outputs: (T * N, O) float32, for each that differs: logarithms of choices' probabilities, or
            means.
        places: (K,) int64, memory.
    """

    bytes: np.ndarray
    masks: np.ndarray
    weights: np.ndarray
    table: np.ndarray
    first: np.ndarray
    numbers: np.ndarray
    found: np.ndarray
    outputs: np.ndarray
    places: np.ndarray


@entry
def decide_repeated(
    actor: Actor, seen: Seen, begin: int, noise: np.ndarray, actions: Actions
) -> None:
    """Draws the actions of N workers, and finds how likely they were.

    Args:
        actor: who acts.
        seen: what was observed, the present step included.
        begin: where its observations begin.
        noise: (N, O), of which actions are made.
        actions: become these.
    """
    before = seen.found[0]
    for position in range(begin, begin + len(noise)):
        seen.numbers[position] = _number(seen, position)
    most = len(actor.work.observed)
    for start in range(before, seen.found[0], most):
        _find_outputs(actor, seen, start, min(start + most, seen.found[0]))
    numbers = seen.numbers[begin : begin + len(noise)]
    choose_or_draw(actor, seen.outputs, numbers, noise, actions)


@jit
def _number(seen: Seen, position: int) -> int:
    """Which of the observations that differ one is; a new one gets the next number."""
    table, last = seen.table, len(seen.table) - 1
    slot = _sum(seen, position) & last
    while table[slot] >= 0:
        if _are_equal(seen, seen.first[table[slot]], position):
            return table[slot]
        slot = (slot + 1) & last
    number = seen.found[0]
    table[slot], seen.first[number] = number, position
    seen.found[0] += 1
    return number


@jit
def _sum(seen: Seen, position: int) -> int:
    """A sum of an observation's bytes, each times its random weight."""
    total, observed = np.uint32(0), seen.bytes[position]
    for place in range(len(observed)):
        total += observed[place] * seen.weights[place]
    if seen.masks.size:
        mask, weights = seen.masks[position], seen.weights[len(observed) :]
        for place in range(len(mask)):
            total += mask[place] * weights[place]
    # The higher bits depend on all that the lower ones do, and on more.
    return np.int64(np.uint32(total) >> np.uint32(8))


@jit
def _are_equal(seen: Seen, position: int, other: int) -> bool:
    different = np.uint8(0)
    for place in range(seen.bytes.shape[1]):
        different |= seen.bytes[position, place] ^ seen.bytes[other, place]
    if seen.masks.size:
        for place in range(seen.masks.shape[1]):
            different |= seen.masks[position, place] ^ seen.masks[other, place]
    return different == 0


@jit
def _find_outputs(actor: Actor, seen: Seen, begin: int, end: int) -> None:
    """Finds what the policy gives for the observations of some numbers."""
    rows, work = end - begin, actor.work
    _take_in_bytes(actor, actor.network.trunk, seen.bytes, seen.first[begin:end], seen.places)
    outputs_of_taken_in(actor, rows)
    if seen.masks.size:
        forbid_observed(work.outputs, seen.masks, seen.first[begin:end], FORBIDDEN)
    if len(actor.policy.branches):
        log_softmax(actor.policy.branches, rows, work)
    copy(work.outputs[:rows], seen.outputs[begin:end])


@jit
def _take_in_bytes(
    actor: Actor,
    trunk: np.ndarray,
    observed: np.ndarray,
    positions: np.ndarray,
    places: np.ndarray,
) -> None:
    """Finds the products of a trunk's first layer with observations (R, K) of which most are zero."""
    weight, outputs = layers.weight_of(trunk[0], actor.weights), actor.work.values[0]
    for row in range(len(positions)):
        count, position = 0, positions[row]
        for place in range(observed.shape[1]):
            # Written in any case, as a processor would often guess wrong whether to.
            places[count] = place
            count += observed[position, place] != 0
        for column in range(weight.shape[1]):
            outputs[row, column] = f32(0)
        for place in places[:count]:
            value = f32(observed[position, place])
            for column in range(weight.shape[1]):
                outputs[row, column] += value * weight[place, column]


@entry
def find_values_of_bytes(
    actor: Actor, observed: np.ndarray, places: np.ndarray, values: np.ndarray
) -> None:
    """Finds values (N,) of what is observed.

    Args:
        actor: whose values.
        observed: (N, K) uint8.
        places: (K,) int64, memory.
        values: (N,), become these.
    """
    most = len(actor.work.observed)
    for begin in range(0, len(values), most):
        end = min(begin + most, len(values))
        trunk = actor.network.value_trunk
        _take_in_bytes(actor, trunk, observed, np.arange(begin, end), places)
        values_of_taken_in(actor, values[begin:end])
